// Command check reads what is below deploy/ with the libraries of the tools that will read it in earnest, without any
// of their servers, and prints what it found as JSON. tests/deploy asks it; it judges nothing but form.
//
//	check chart FOLDER [VALUES…]   lint and render a Helm chart
//	check compose FILE [PROFILE…]  load a Compose file, its environment from this process
//	check dockerfile FILE          the stages of a Dockerfile
//	check terraform FOLDER         the blocks of a Terraform module, and who refers to whom
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var commands = map[string]func(path string, more []string) (any, error){
	"chart":      chartOf,
	"compose":    composeOf,
	"dockerfile": dockerfileOf,
	"terraform":  terraformOf,
}

func main() {
	if len(os.Args) < 3 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: check chart|compose|dockerfile|terraform PATH [MORE…]")
		os.Exit(2)
	}
	found, err := commands[os.Args[1]](os.Args[2], os.Args[3:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
