// Command miniredis is a STAND-IN for redis-server 8.2: github.com/alicebob/miniredis, in memory, until it gets SIGTERM.
// It takes redis-server's way to give settings, and of the settings those that Argo CD's manifests use.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// settings are the defaults; `ignored` ones are taken and do nothing, as miniredis keeps nothing on a disk.
var (
	settings = map[string]string{"port": "6379", "bind": "0.0.0.0", "requirepass": ""}
	ignored  = map[string]bool{
		"save": true, "appendonly": true, "protected-mode": true, "maxmemory": true, "maxmemory-policy": true,
		"dir": true, "logfile": true, "loglevel": true, "tcp-keepalive": true, "timeout": true, "databases": true, "io-threads": true,
	}
)

func main() {
	if err := read(os.Args[1:]); err != nil {
		fail(err)
	}
	server := miniredis.NewMiniRedis()
	if password := settings["requirepass"]; password != "" {
		server.RequireAuth(password)
	}
	host, _, _ := strings.Cut(settings["bind"], " ")
	if err := server.StartAddr(net.JoinHostPort(host, settings["port"])); err != nil {
		fail(err)
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

// read takes `--name value...` and `--name=value`; as in Redis one argument may hold a name and its value:
// src/server.c, main, which joins the arguments to lines of a configuration.
func read(arguments []string) error {
	var lines []string
	for _, argument := range arguments {
		if name, found := strings.CutPrefix(argument, "--"); found {
			lines = append(lines, name)
		} else if len(lines) > 0 {
			lines[len(lines)-1] += " " + argument
		} else {
			return fmt.Errorf("the stand-in takes no configuration file: %s", argument)
		}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		if _, known := settings[name]; known {
			settings[name] = strings.TrimSpace(value)
		} else if !ignored[name] {
			return fmt.Errorf("Bad directive or wrong number of arguments: %q", line)
		}
	}
	return nil
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "*** FATAL CONFIG FILE ERROR (Redis stand-in) ***\n%v\n", err)
	os.Exit(1)
}
