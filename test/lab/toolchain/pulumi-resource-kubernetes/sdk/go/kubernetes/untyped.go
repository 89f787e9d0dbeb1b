// Package kubernetes is a STAND-IN for the generated Go SDK (github.com/pulumi/pulumi-kubernetes/sdk/v4 v4.24.0), of which
// the provider uses one function and some types: 63 packages of generated types are a quarter of its source otherwise (26
// of 102 MB). Untyped resources reach the engine with the same type, name and properties.
package kubernetes

import "reflect"

// UntypedArgs are the properties of one object as its manifest has them (sdk go/kubernetes/customPulumiTypes.go).
type UntypedArgs map[string]any

// ElementType makes UntypedArgs an input of the Pulumi SDK.
func (UntypedArgs) ElementType() reflect.Type {
	return reflect.TypeFor[map[string]any]()
}
