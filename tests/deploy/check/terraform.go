package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

type module struct {
	Blocks      []block  `json:"blocks"`
	References  []string `json:"references"`  // var.name, local.region, aws_msk_cluster.hub, …: two or three steps
	Unformatted []string `json:"unformatted"` // files that `terraform fmt` would change
}

type block struct {
	Type       string   `json:"type"`
	Labels     []string `json:"labels"`
	Attributes []string `json:"attributes"`
	Blocks     []block  `json:"blocks"`
}

func terraformOf(folder string, _ []string) (any, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s has no *.tf: %w", folder, err)
	}
	answer := module{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			answer.Unformatted = append(answer.Unformatted, filepath.Base(file))
		}
		parsed, problems := hclsyntax.ParseConfig(text, filepath.Base(file), hcl.InitialPos)
		if problems.HasErrors() {
			return nil, problems
		}
		body := parsed.Body.(*hclsyntax.Body)
		for _, one := range body.Blocks {
			answer.Blocks = append(answer.Blocks, blockOf(one))
		}
		answer.References = append(answer.References, referencesOf(body)...)
	}
	return answer, nil
}

func blockOf(read *hclsyntax.Block) block {
	answer := block{Type: read.Type, Labels: read.Labels}
	for name := range read.Body.Attributes {
		answer.Attributes = append(answer.Attributes, name)
	}
	for _, inner := range read.Body.Blocks {
		answer.Blocks = append(answer.Blocks, blockOf(inner))
	}
	return answer
}

// Local names of `for` and `dynamic` are left out by the library and by name.
func referencesOf(body *hclsyntax.Body) []string {
	var found []string
	for _, attribute := range body.Attributes {
		for _, traversal := range attribute.Expr.Variables() {
			found = append(found, nameOf(traversal))
		}
	}
	for _, inner := range body.Blocks {
		for _, name := range referencesOf(inner.Body) {
			if inner.Type != "dynamic" || !strings.HasPrefix(name, inner.Labels[0]+".") {
				found = append(found, name)
			}
		}
	}
	return found
}

func nameOf(traversal hcl.Traversal) string {
	name := traversal.RootName()
	for _, step := range traversal[1:] {
		attribute, ok := step.(hcl.TraverseAttr)
		if !ok || strings.Count(name, ".") == 2 {
			break
		}
		name += "." + attribute.Name
	}
	return name
}
