package kubelet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probed is what the probes of one container have found.
type probed struct {
	sync.Mutex
	busy bool
	// failing is since when a probe fails without a break; zero: it does not.
	failing map[string]time.Time
	passed  map[string]bool
}

// probes by pod and container.
type probes map[string]*probed

func (p probes) forget(prefix string) {
	for key := range p {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
			delete(p, key)
		}
	}
}

// probe sets whether a running container has started and is ready, and ends one that is no longer alive.
func (r *Runner) probe(ctx context.Context, pod *corev1.Pod, container *corev1.Container, status *corev1.ContainerStatus, state condition) {
	key := string(pod.UID) + "/" + container.Name
	found := r.probes[key]
	if found == nil {
		found = &probed{failing: map[string]time.Time{}, passed: map[string]bool{}}
		r.probes[key] = found
	}
	found.Lock()
	defer found.Unlock()
	if !found.busy {
		found.busy = true
		go found.look(ctx, r.host(pod), container, state.pid)
	}
	started := container.StartupProbe == nil || found.passed["startup"]
	status.Started = &started
	status.Ready = started && (container.ReadinessProbe == nil || found.good("readiness", container.ReadinessProbe))
	over := found.over("startup", container.StartupProbe, state.since) || (started && found.over("liveness", container.LivenessProbe, state.since))
	if over {
		folderOf(string(pod.UID), container.Name).kill()
	}
}

// good is whether it passed, and has not failed for as long as its threshold says.
func (p *probed) good(kind string, probe *corev1.Probe) bool {
	since := p.failing[kind]
	return p.passed[kind] && (since.IsZero() || time.Since(since) < patience(probe))
}

// over is whether a probe has failed so long that the container is ended for it.
func (p *probed) over(kind string, probe *corev1.Probe, started time.Time) bool {
	if probe == nil || p.passed["startup"] && kind == "startup" {
		return false
	}
	first := p.failing[kind]
	begin := started.Add(time.Duration(probe.InitialDelaySeconds) * time.Second)
	if first.Before(begin) && !first.IsZero() {
		first = begin
	}
	return !first.IsZero() && time.Since(first) >= patience(probe)
}

func patience(probe *corev1.Probe) time.Duration {
	return time.Duration(probe.FailureThreshold*probe.PeriodSeconds) * time.Second
}

// look runs all probes of a container once.
func (p *probed) look(ctx context.Context, host string, container *corev1.Container, pid int) {
	for kind, probe := range map[string]*corev1.Probe{
		"startup": container.StartupProbe, "readiness": container.ReadinessProbe, "liveness": container.LivenessProbe,
	} {
		if probe == nil {
			continue
		}
		err := try(ctx, host, container, probe, pid)
		p.Lock()
		if err == nil {
			p.passed[kind] = true
			p.failing[kind] = time.Time{}
		} else if p.failing[kind].IsZero() {
			p.failing[kind] = time.Now()
		}
		p.Unlock()
	}
	p.Lock()
	p.busy = false
	p.Unlock()
}

func try(ctx context.Context, host string, container *corev1.Container, probe *corev1.Probe, pid int) error {
	limit := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		return get(ctx, host, container, probe.HTTPGet)
	case probe.TCPSocket != nil:
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(host, container, probe.TCPSocket.Port))
		if err == nil {
			connection.Close()
		}
		return err
	case probe.Exec != nil:
		user, group := ownerOf(pid)
		arguments := []string{"--target", strconv.Itoa(pid), "--mount", "--pid", "--net", "--root", "--wd", "--setuid", user, "--setgid", group, "--"}
		return exec.CommandContext(ctx, "nsenter", append(arguments, probe.Exec.Command...)...).Run()
	}
	return fmt.Errorf("the stand-in has no probe of this kind")
}

func get(ctx context.Context, host string, container *corev1.Container, action *corev1.HTTPGetAction) error {
	scheme := "http"
	if action.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	if action.Host != "" {
		host = action.Host
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address(host, container, action.Port)+action.Path, nil)
	if err != nil {
		return err
	}
	for _, header := range action.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", answer.StatusCode)
	}
	return nil
}

func address(host string, container *corev1.Container, port intstr.IntOrString) string {
	number := port.IntValue()
	for _, named := range container.Ports {
		if port.Type == intstr.String && named.Name == port.StrVal {
			number = int(named.ContainerPort)
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(number))
}

// ownerOf is the user and group of a process.
func ownerOf(pid int) (string, string) {
	user, group := "0", "0"
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Uid:"):
			user = fields[1]
		case strings.HasPrefix(line, "Gid:"):
			group = fields[1]
		}
	}
	return user, group
}
