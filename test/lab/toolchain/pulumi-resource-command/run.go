package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/ssh"
)

const (
	previousStdout = "PULUMI_COMMAND_STDOUT"
	previousStderr = "PULUMI_COMMAND_STDERR"
)

// run dials the connection and runs the command with stdin and environment. Without a command it does nothing and keeps
// the previous output. An error carries the command and all that it printed, as with the official provider.
func (p *commandProvider) run(
	ctx context.Context, urn resource.URN, inputs resource.PropertyMap, command resource.PropertyValue, previous output,
) (output, error) {
	if !unwrap(command).IsString() {
		return previous, nil
	}
	c := connection{object(inputs["connection"])}
	client, err := c.dial(ctx, func(message string) { p.logStatus(ctx, urn, message) })
	if err != nil {
		return output{}, err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return output{}, err
	}
	defer session.Close()
	if err := p.setEnvironment(ctx, urn, session, inputs, previous); err != nil {
		return output{}, err
	}
	if stdin := text(inputs["stdin"]); stdin != "" {
		session.Stdin = strings.NewReader(stdin)
	}
	return p.execute(ctx, urn, session, text(command), text(inputs["logging"]))
}

func (p *commandProvider) execute(
	ctx context.Context, urn resource.URN, session *ssh.Session, command, logging string,
) (output, error) {
	var stdout, stderr bytes.Buffer
	both := &lockedBuffer{}
	lines, wait := p.logLines(ctx, urn)
	session.Stdout = io.MultiWriter(writers(&stdout, both, lines, logging == "none" || logging == "stderr")...)
	session.Stderr = io.MultiWriter(writers(&stderr, both, lines, logging == "none" || logging == "stdout")...)
	err := session.Run(command)
	wait()
	if err != nil {
		return output{}, fmt.Errorf("%w: running %q:\n%s", err, command, both.String())
	}
	return output{strings.TrimSuffix(stdout.String(), "\n"), strings.TrimSuffix(stderr.String(), "\n")}, nil
}

func writers(own *bytes.Buffer, both *lockedBuffer, lines io.Writer, quiet bool) []io.Writer {
	if quiet {
		return []io.Writer{own, both}
	}
	return []io.Writer{own, both, lines}
}

// setEnvironment sends the variables. A refused one of the user's is an error; the previous output is only offered, and
// a refusal is a warning: most sshd configurations accept neither name.
func (p *commandProvider) setEnvironment(
	ctx context.Context, urn resource.URN, session *ssh.Session, inputs resource.PropertyMap, previous output,
) error {
	environment := object(inputs["environment"])
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if err := session.Setenv(string(name), text(environment[name])); err != nil {
			return fmt.Errorf("could not set environment variable %q: %w - "+
				"the SSH server must accept it (AcceptEnv); a shell command can set it itself: VAR=value command", name, err)
		}
	}
	if flag := unwrap(inputs["addPreviousOutputInEnv"]); flag.IsBool() && !flag.BoolValue() {
		return nil
	}
	for name, value := range map[string]string{previousStdout: previous.stdout, previousStderr: previous.stderr} {
		if value == "" {
			continue
		}
		if err := session.Setenv(name, value); err != nil && p.host != nil {
			_ = p.host.Log(ctx, diag.Warning, urn, fmt.Sprintf("could not set environment variable %q: %v", name, err))
		}
	}
	return nil
}

// logLines returns a writer whose lines go to the engine as status messages, and a function that flushes it.
func (p *commandProvider) logLines(ctx context.Context, urn resource.URN) (io.Writer, func()) {
	reader, writer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffered := bufio.NewReader(reader)
		for {
			line, err := buffered.ReadString('\n')
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				p.logStatus(ctx, urn, line)
			}
			if err != nil {
				return
			}
		}
	}()
	return writer, func() {
		_ = writer.Close()
		<-done
	}
}

func (p *commandProvider) logStatus(ctx context.Context, urn resource.URN, message string) {
	if p.host != nil {
		_ = p.host.LogStatus(ctx, diag.Info, urn, message)
	}
}

// lockedBuffer takes stdout and stderr in the order in which they arrive; the SSH library copies each in its own
// goroutine.
type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
