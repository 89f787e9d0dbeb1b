// Command pulumi-resource-command is a STAND-IN for the official `command` provider 1.2.1, for machines where only
// package registries answer: from a Pulumi engine's requests for `command:remote:Command` to commands run over SSH. It
// implements the documented behaviour of that one resource type and no other part of the provider (no local.Command, no
// CopyToRemote). Differences: it closes its SSH connections, it never prints an unknown connection field's value, and a
// long output line does not stall it.
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
