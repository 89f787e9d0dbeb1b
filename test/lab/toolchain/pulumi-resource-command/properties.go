package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/mapper"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

// outputNames are the properties of the state that are no inputs.
var outputNames = []resource.PropertyKey{"stdout", "stderr"}

// unserved are inputs of the official resource that this stand-in does not have.
var unserved = []resource.PropertyKey{"assetPaths", "archivePaths"}

// options of both directions (pulumi-go-provider v1.3.0 provider.go, getMap and asStruct).
var options = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, SkipNulls: true, KeepResources: true}

func unmarshal(properties *structpb.Struct) (resource.PropertyMap, error) {
	return plugin.UnmarshalProperties(properties, options)
}

func marshal(properties resource.PropertyMap) (*structpb.Struct, error) {
	return plugin.MarshalProperties(properties, options)
}

// decode reads properties into a struct by the official provider's own mapper; secrets are opened and what is unknown
// stays unset.
func decode(properties resource.PropertyMap, target any) mapper.MappingError {
	return mapper.Map(plain(resource.NewProperty(properties)).ObjectValue().Mappable(), target)
}

// decodeState reads the state's inputs, and what the last command printed.
func decodeState(state resource.PropertyMap) (commandInputs, output, error) {
	inputs, outputs := maps.Clone(state), resource.PropertyMap{}
	for _, key := range outputNames {
		outputs[key] = inputs[key]
		delete(inputs, key)
	}
	var in commandInputs
	if err := decode(inputs, &in); err != nil {
		return in, output{}, err
	}
	var printed output
	if err := decode(outputs, &printed); err != nil {
		return in, output{}, err
	}
	return in, printed, nil
}

// plain opens secrets and leaves out what is unknown.
func plain(value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return plain(value.SecretValue().Element)
	case value.IsArray():
		items := []resource.PropertyValue{}
		for _, item := range value.ArrayValue() {
			if !item.IsComputed() {
				items = append(items, plain(item))
			}
		}
		return resource.NewProperty(items)
	case value.IsObject():
		fields := resource.PropertyMap{}
		for key, field := range value.ObjectValue() {
			if !field.IsComputed() {
				fields[key] = plain(field)
			}
		}
		return resource.NewProperty(fields)
	default:
		return value
	}
}

// checkInputs names each input that the resource does not have or that has the wrong type (pulumi-go-provider v1.3.0
// infer/resource.go, Check).
func checkInputs(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	served := maps.Clone(inputs)
	for _, key := range unserved {
		if _, ok := inputs[key]; !ok {
			continue
		}
		delete(served, key)
		reason := fmt.Sprintf("%s is not in this stand-in for the command provider - install the official provider", key)
		failures = append(failures, &pulumirpc.CheckFailure{Property: string(key), Reason: reason})
	}
	if err := decode(served, &commandInputs{}); err != nil {
		for _, failure := range err.Failures() {
			if field, ok := failure.(mapper.FieldError); ok {
				failures = append(failures, &pulumirpc.CheckFailure{Property: field.Field(), Reason: field.Reason()})
			}
		}
	}
	return failures
}

// diffInputs compares inputs, secret marks included (infer/resource.go, diff). Of `replaceOnChanges` only a change of
// the whole of `triggers` counts here, as its name is looked up by path; the SDK for Node.js sets `triggers[*]` itself.
func diffInputs(old, news resource.PropertyMap) *pulumirpc.DiffResponse {
	difference := old.Diff(news)
	response := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		HasDetailedDiff: true,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
	}
	if difference.AnyChanges() {
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
	}
	for path, detail := range plugin.NewDetailedDiffFromObjectDiff(difference, false) {
		if path == "triggers" {
			detail.Kind = detail.Kind.AsReplace()
			response.Replaces = append(response.Replaces, path)
		}
		name, _, _ := strings.Cut(strings.ReplaceAll(path, "[", "."), ".")
		response.Diffs = append(response.Diffs, name)
		response.DetailedDiff[path] = &pulumirpc.PropertyDiff{Kind: pulumirpc.PropertyDiff_Kind(detail.Kind)}
	}
	slices.Sort(response.Diffs)
	response.Diffs = slices.Compact(response.Diffs)
	return response
}

// comparable leaves out what the engine adds to inputs, and what the program wants left as it is.
func comparable(inputs, state resource.PropertyMap, ignored []string) resource.PropertyMap {
	compared := maps.Clone(inputs)
	maps.DeleteFunc(compared, func(key resource.PropertyKey, _ resource.PropertyValue) bool {
		return key == "version" || strings.HasPrefix(string(key), "__")
	})
	return keepIgnored(compared, state, ignored)
}

// keepIgnored takes the values of inputs named by `ignoreChanges` from the state.
func keepIgnored(inputs, state resource.PropertyMap, ignored []string) resource.PropertyMap {
	kept := maps.Clone(inputs)
	for _, name := range ignored {
		if value, ok := state[resource.PropertyKey(name)]; ok {
			kept[resource.PropertyKey(name)] = value
		}
	}
	return kept
}

// stateOf is the state of the resource: all inputs as they are, secret ones secret, and what the command printed. That
// is plain whatever the inputs are (infer/resource.go, ensureDefaultSecrets): it shares no name with an input.
func stateOf(inputs resource.PropertyMap, printed output, unknown bool) resource.PropertyMap {
	state := maps.Clone(inputs)
	state["stdout"], state["stderr"] = resource.NewProperty(printed.Stdout), resource.NewProperty(printed.Stderr)
	if unknown {
		for _, key := range outputNames {
			state[key] = resource.MakeComputed(resource.NewProperty(""))
		}
	}
	return state
}

// changes tells whether a preview of an update knows the output no more: an input of the state has changed, or any is
// unknown (infer/resource.go, markComputed). An input that the state lacks does not count.
func changes(state, inputs resource.PropertyMap) bool {
	for key, value := range inputs {
		if value.IsComputed() {
			return true
		}
		if old, ok := state[key]; ok && !old.DeepEquals(value) {
			return true
		}
	}
	for key := range state {
		if _, ok := inputs[key]; !ok && !slices.Contains(outputNames, key) {
			return true
		}
	}
	return false
}
