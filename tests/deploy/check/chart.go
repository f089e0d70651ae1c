package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

const (
	releaseName = "hub"
	namespace   = "llm"
)

// The kinds whose Go types are the whole truth about their fields.
var typed = map[string]func() any{
	"ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
}

type rendered struct {
	Lint     []string         `json:"lint"`     // what `helm lint` would complain of
	Unknown  []string         `json:"unknown"`  // fields that a typed kind does not have
	Notes    string           `json:"notes"`    // what the user is told
	Objects  []map[string]any `json:"objects"`  // what `helm template` would print
	Defaults map[string]any   `json:"defaults"` // values.yaml
}

func chartOf(folder string, files []string) (any, error) {
	given := map[string]any{}
	for _, file := range files {
		layer, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, err
		}
		given = chartutil.MergeTables(layer.AsMap(), given)
	}
	loaded, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	answer := rendered{Defaults: loaded.Values}
	for _, message := range lint.AllWithKubeVersion(folder, given, namespace, nil).Messages {
		answer.Lint = append(answer.Lint, message.Error())
	}
	return answer, render(loaded, given, &answer)
}

func render(loaded *chart.Chart, given map[string]any, answer *rendered) error {
	release := chartutil.ReleaseOptions{Name: releaseName, Namespace: namespace, Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(loaded, given, release, chartutil.DefaultCapabilities)
	if err != nil {
		return err
	}
	texts, err := engine.Engine{Strict: true}.Render(loaded, values)
	if err != nil {
		return err
	}
	for name, text := range texts {
		switch {
		case path.Base(name) == "NOTES.txt":
			answer.Notes = text
		case strings.HasPrefix(path.Base(name), "_"):
		default:
			if err := answer.add(name, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func (answer *rendered) add(name, text string) error {
	for _, document := range releaseutil.SplitManifests(text) {
		object := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, document)
		}
		if len(object) == 0 {
			continue
		}
		answer.Objects = append(answer.Objects, object)
		if target, ok := typed[fmt.Sprint(object["kind"])]; ok {
			if err := yaml.UnmarshalStrict([]byte(document), target()); err != nil {
				answer.Unknown = append(answer.Unknown, fmt.Sprintf("%s: %v", name, err))
			}
		}
	}
	return nil
}

func init() {
	// The chart's links to files beside it are on purpose; the loader says so on standard error for each.
	os.Setenv("HELM_DEBUG", "false")
}
