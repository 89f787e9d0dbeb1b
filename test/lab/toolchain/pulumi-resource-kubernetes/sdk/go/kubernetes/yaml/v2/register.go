// Package v2 is a STAND-IN for the SDK's package of the same path: how a ConfigGroup of the provider registers one object.
package v2

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource registers an object under the type that the SDK gives it (sdk v4.24.0 go/kubernetes/yaml/v2/kinds.go):
// `kubernetes:<apiVersion>:<kind>`, where the core group, which has no name in an apiVersion, is called `core`. That is
// what each of the 157 cases there comes to.
func RegisterResource(
	ctx *pulumi.Context, apiVersion, kind, name string, properties pulumi.Input, options ...pulumi.ResourceOption,
) (pulumi.CustomResource, error) {
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "core/" + apiVersion
	}
	resource := &pulumi.CustomResourceState{}
	err := ctx.RegisterResource(fmt.Sprintf("kubernetes:%s:%s", apiVersion, kind), name, properties, resource, options...)
	if err != nil {
		return nil, err
	}
	return resource, nil
}
