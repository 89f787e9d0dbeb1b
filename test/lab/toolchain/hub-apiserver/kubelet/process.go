package kubelet

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

//go:embed container.sh
var containerFunctions string

// shimName is that of the real shim, by which whoever erases the distribution finds the containers.
const shimName = "containerd-shim-runc-v2"

// shim runs a container's script in namespaces of its own and keeps its exit code. It outlives whoever started it.
const shim = `echo $$ >pid.new
mv pid.new pid
code=0
unshare --mount --pid --fork --kill-child=KILL sh ./start || code=$?
echo "$code" >exit.new
mv exit.new exit`

// installShim copies the shell, since a process is known by its file.
func installShim(folder string) error {
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(folder, shimName)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(shell) {
		return nil
	}
	return os.WriteFile(path, shell, 0o755)
}

// folder is where the process of a container is kept: `start` its script, `pid` its shim, `exit` its exit code.
type folder struct{ path string }

func folderOf(uid, container string) folder {
	return folder{filepath.Join(runFolder, uid, "containers", container)}
}

func containersOf(uid string) []folder {
	paths, _ := filepath.Glob(filepath.Join(runFolder, uid, "containers", "*"))
	folders := make([]folder, len(paths))
	for i, path := range paths {
		folders[i] = folder{path}
	}
	return folders
}

func logFile(pod *corev1.Pod, container string, restart int32) string {
	name := fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID)
	return filepath.Join(logFolder, name, container, fmt.Sprintf("%d.log", restart))
}

func (f folder) id(restart int32) string {
	return fmt.Sprintf("standin://%s/%s/%d", filepath.Base(filepath.Dir(filepath.Dir(f.path))), filepath.Base(f.path), restart)
}

// start runs a script in the pod's network.
func (f folder) start(runtime, script, log string, hostNetwork bool) error {
	if err := os.RemoveAll(f.path); err != nil {
		return err
	}
	for _, path := range []string{filepath.Join(f.path, "root"), filepath.Dir(log)} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("set -eu\nROOT=%s\n%s\n%s", quote(filepath.Join(f.path, "root")), containerFunctions, script)
	if err := os.WriteFile(filepath.Join(f.path, "start"), []byte(text), 0o600); err != nil {
		return err
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer output.Close()
	arguments := []string{filepath.Join(runtime, shimName), "-euc", shim}
	if !hostNetwork {
		pid, err := sandboxPID(filepath.Base(filepath.Dir(filepath.Dir(f.path))))
		if err != nil {
			return err
		}
		arguments = append([]string{"nsenter", "--target", strconv.Itoa(pid), "--net", "--uts", "--ipc", "--"}, arguments...)
	}
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Dir, command.Stdout, command.Stderr = f.path, output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	go command.Wait()
	return f.awaitPID()
}

func (f folder) awaitPID() error {
	for range 100 {
		if _, err := os.Stat(filepath.Join(f.path, "pid")); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("its shim did not start within 2 s")
}

// condition is how a container's process is.
type condition struct {
	running, ended bool
	since, until   time.Time
	code           int32
	// pid is that of the program, 0 where it has not started yet.
	pid int
}

// observe looks at the process.
func (f folder) observe() condition {
	started, err := os.Stat(filepath.Join(f.path, "pid"))
	if err != nil {
		return condition{}
	}
	now := condition{since: started.ModTime().Truncate(time.Second)}
	exit := filepath.Join(f.path, "exit")
	if ended, err := os.Stat(exit); err == nil {
		now.ended, now.until = true, ended.ModTime().Truncate(time.Second)
		now.code = int32(readNumber(exit))
		return now
	}
	shim := readNumber(filepath.Join(f.path, "pid"))
	if !alive(shim) {
		now.ended, now.until, now.code = true, time.Now().Truncate(time.Second), 137
		return now
	}
	now.running = true
	if unshare := onlyChild(shim); unshare != 0 {
		now.pid = onlyChild(unshare)
	}
	return now
}

func (c condition) termination(id string) *corev1.ContainerStateTerminated {
	reason := "Error"
	if c.code == 0 {
		reason = "Completed"
	}
	return &corev1.ContainerStateTerminated{
		ExitCode: c.code, Reason: reason, ContainerID: id,
		StartedAt: metav1.NewTime(c.since), FinishedAt: metav1.NewTime(c.until),
	}
}

// terminate asks the program to end, once.
func (f folder) terminate() error {
	asked := filepath.Join(f.path, "terminated")
	if _, err := os.Stat(asked); err == nil {
		return nil
	}
	state := f.observe()
	// Until it is the program it is a shell that is the first process of its namespace, which such a signal does not end.
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", state.pid))
	if state.pid == 0 || strings.HasPrefix(string(line), "sh\x00./start") {
		return nil
	}
	if err := syscall.Kill(state.pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
		return err
	}
	return os.WriteFile(asked, nil, 0o600)
}

// kill ends the program with all that it has started. Its shim stays to write the exit code.
func (f folder) kill() {
	state := f.observe()
	if state.pid != 0 {
		syscall.Kill(state.pid, syscall.SIGKILL)
	} else if state.running {
		syscall.Kill(readNumber(filepath.Join(f.path, "pid")), syscall.SIGKILL)
	}
}

func readNumber(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	number, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return number
}

// alive is false of a zombie, whose command line is empty.
func alive(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return pid != 0 && err == nil && len(line) > 0
}

func onlyChild(pid int) int { return readNumber(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) }

// quote makes a word of a shell out of any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
