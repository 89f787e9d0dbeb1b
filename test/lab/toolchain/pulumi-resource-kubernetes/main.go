// The kubernetes resource provider, built from its published module: the module's own main embeds generated files that the module does not carry.
package main

import "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"

// version is set by -ldflags.
var version = "4.34.2"

func main() {
	provider.Serve("kubernetes", version, []byte("{}"), nil)
}
