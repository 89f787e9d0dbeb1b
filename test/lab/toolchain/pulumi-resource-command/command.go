package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// commandInputs are the inputs of the resource (pulumi-command v1.2.1 provider/pkg/provider/common/inputs.go and
// local/base.go). All are optional.
type commandInputs struct {
	Triggers               *[]any             `pulumi:"triggers,optional"`
	Create                 *string            `pulumi:"create,optional"`
	Update                 *string            `pulumi:"update,optional"`
	Delete                 *string            `pulumi:"delete,optional"`
	Stdin                  *string            `pulumi:"stdin,optional"`
	Logging                *string            `pulumi:"logging,optional"`
	Interpreter            *[]string          `pulumi:"interpreter,optional"`
	Dir                    *string            `pulumi:"dir,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`
}

// output is what a command printed, without one final newline.
type output struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// run starts a command and waits for it (local/commandOutputs.go). When ctx ends, only the interpreter is killed: what
// it started lives on, and run waits until that has closed stdout and stderr. A line of more than 64 KiB ends the
// logging, and with it the reading: such a command never ends. log gets each line at once.
func run(ctx context.Context, command string, in commandInputs, previous output, log func(string)) (output, error) {
	args := []string{"/bin/sh", "-c"}
	if in.Interpreter != nil && len(*in.Interpreter) > 0 {
		args = *in.Interpreter
	}
	var stdout, stderr bytes.Buffer
	both := &lockedWriter{writer: &bytes.Buffer{}}
	logReader, logWriter := io.Pipe()
	cmd := exec.CommandContext(ctx, args[0], append(args[1:], command)...)
	cmd.Stdout = writers(&stdout, both, logWriter, logs(in.Logging, "stdout"))
	cmd.Stderr = writers(&stderr, both, logWriter, logs(in.Logging, "stderr"))
	cmd.Env = environment(in, previous)
	if in.Dir != nil {
		cmd.Dir = *in.Dir
	}
	if in.Stdin != nil && *in.Stdin != "" {
		cmd.Stdin = strings.NewReader(*in.Stdin)
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for lines := bufio.NewScanner(logReader); lines.Scan(); {
			log(lines.Text())
		}
	}()
	err := cmd.Run()
	_ = logWriter.Close()
	<-logged
	if err != nil {
		return output{}, fmt.Errorf("%w: running %q:\n%s", err, command, both.writer.String())
	}
	return output{strings.TrimSuffix(stdout.String(), "\n"), strings.TrimSuffix(stderr.String(), "\n")}, nil
}

// environment is the provider's own, then the resource's, then the previous output where there is any: the last wins.
func environment(in commandInputs, previous output) []string {
	variables := os.Environ()
	if in.Environment != nil {
		for name, value := range *in.Environment {
			variables = append(variables, name+"="+value)
		}
	}
	if in.AddPreviousOutputInEnv != nil && !*in.AddPreviousOutputInEnv {
		return variables
	}
	if previous.Stdout != "" {
		variables = append(variables, "PULUMI_COMMAND_STDOUT="+previous.Stdout)
	}
	if previous.Stderr != "" {
		variables = append(variables, "PULUMI_COMMAND_STDERR="+previous.Stderr)
	}
	return variables
}

// logs tells whether lines of a stream are logged (local/logging.go): both are unless the resource says otherwise.
func logs(logging *string, stream string) bool {
	return logging == nil || *logging == stream || *logging == "stdoutAndStderr"
}

func writers(own *bytes.Buffer, both *lockedWriter, log io.Writer, logged bool) io.Writer {
	if !logged {
		return io.MultiWriter(own, both)
	}
	return io.MultiWriter(own, both, log)
}

// lockedWriter takes stdout and stderr in the order in which they arrive: os/exec copies each in its own goroutine.
type lockedWriter struct {
	mutex  sync.Mutex
	writer *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.writer.Write(p)
}
