// Command miniredis serves the Redis that Argo CD's repo-server caches in: github.com/alicebob/miniredis, in memory, on
// a loopback address, until it gets SIGTERM.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: miniredis <address>, such as 127.0.0.1:6379")
		os.Exit(2)
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "miniredis: %v - use a free loopback address\n", err)
		os.Exit(1)
	}
	defer server.Close()
	fmt.Println(server.Addr())
	// Its clock only moves by hand: without this, no key would ever expire.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	for {
		select {
		case <-tick.C:
			server.FastForward(time.Second)
		case <-stop:
			return
		}
	}
}
