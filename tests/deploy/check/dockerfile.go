package main

import (
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

type stage struct {
	Name         string        `json:"name"`
	Base         string        `json:"base"`
	Instructions []instruction `json:"instructions"`
}

type instruction struct {
	Name  string   `json:"name"`  // COPY, RUN, …
	Words []string `json:"words"` // sources and target, command, …
	Flags []string `json:"flags"` // --from=build, …
	Form  string   `json:"form"`  // exec or shell, where that is a choice
}

type image struct {
	Stages   []stage  `json:"stages"`
	Warnings []string `json:"warnings"`
}

func dockerfileOf(file string, _ []string) (any, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	parsed, err := parser.Parse(opened)
	if err != nil {
		return nil, err
	}
	answer := image{}
	for _, warning := range parsed.Warnings {
		answer.Warnings = append(answer.Warnings, warning.Short)
	}
	warn := func(name, _, _, message string, _ []parser.Range) {
		answer.Warnings = append(answer.Warnings, name+": "+message)
	}
	// The builder's own parser refuses instructions and flags that it does not know.
	if _, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{Warn: warn})); err != nil {
		return nil, err
	}
	for _, node := range parsed.AST.Children {
		if node.Value == "FROM" || node.Value == "from" {
			answer.Stages = append(answer.Stages, stageOf(node))
		} else if last := len(answer.Stages) - 1; last >= 0 {
			answer.Stages[last].Instructions = append(answer.Stages[last].Instructions, instructionOf(node))
		}
	}
	return answer, nil
}

func stageOf(node *parser.Node) stage {
	words := wordsOf(node)
	if len(words) == 3 {
		return stage{Name: words[2], Base: words[0]}
	}
	return stage{Base: words[0]}
}

func instructionOf(node *parser.Node) instruction {
	form := "shell"
	if node.Attributes["json"] {
		form = "exec"
	}
	return instruction{Name: node.Value, Words: wordsOf(node), Flags: node.Flags, Form: form}
}

func wordsOf(node *parser.Node) []string {
	var words []string
	for next := node.Next; next != nil; next = next.Next {
		words = append(words, next.Value)
	}
	return words
}
