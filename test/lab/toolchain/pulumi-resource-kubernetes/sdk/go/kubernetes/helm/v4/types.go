// Package v4 is a STAND-IN for the SDK's package of the same path: the types that the provider's chart code names (sdk
// v4.24.0 go/kubernetes/helm/v4/pulumiTypes.go). Nothing in the lab makes a chart.
package v4

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// RepositoryOpts says where a chart comes from.
type RepositoryOpts struct {
	CaFile   pulumi.AssetOrArchive `pulumi:"caFile"`
	CertFile pulumi.AssetOrArchive `pulumi:"certFile"`
	KeyFile  pulumi.AssetOrArchive `pulumi:"keyFile"`
	Password *string               `pulumi:"password"`
	Repo     *string               `pulumi:"repo"`
	Username *string               `pulumi:"username"`
}

// RepositoryOptsInput is an input that yields RepositoryOpts.
type RepositoryOptsInput interface {
	pulumi.Input
}

// PostRenderer is a program that a chart's output passes through.
type PostRenderer struct {
	Args    []string `pulumi:"args"`
	Command string   `pulumi:"command"`
}

// PostRendererInput is an input that yields a PostRenderer.
type PostRendererInput interface {
	pulumi.Input
}
