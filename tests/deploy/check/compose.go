package main

import (
	"context"

	"github.com/compose-spec/compose-go/v2/cli"
)

func composeOf(file string, profiles []string) (any, error) {
	options, err := cli.NewProjectOptions(
		[]string{file}, cli.WithOsEnv, cli.WithProfiles(profiles), cli.WithName("check"), cli.WithResolvedPaths(true),
	)
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}
