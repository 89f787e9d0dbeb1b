// Command pulumi-resource-command is a STAND-IN for the official `command` provider 1.2.1, for machines where only
// package registries answer and the provider's own module is not among them: from a Pulumi engine's requests for
// `command:local:Command` to processes. It serves that one resource type and no other part of the provider (no
// local.run, nothing of `remote`), and refuses `assetPaths` and `archivePaths` by name. All else behaves as
// github.com/pulumi/pulumi-command v1.2.1 on github.com/pulumi/pulumi-go-provider v1.3.0, traps included; the files are
// named where a claim is made, and command-provider.test.ts holds for the official executable as well.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// version is the version of the official provider whose behaviour this stand-in has.
const version = "1.2.1"

func main() {
	if slices.Contains(os.Args[1:], "--version") {
		fmt.Println(version)
		return
	}
	flag.CommandLine.SetOutput(os.Stderr)
	err := provider.Main("command", func(host *provider.HostClient) (pulumirpc.ResourceProviderServer, error) {
		return newCommandProvider(host), nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
