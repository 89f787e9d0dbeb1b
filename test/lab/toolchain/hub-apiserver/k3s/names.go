package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serviceDomain ends the full name of every Service.
const serviceDomain = ".svc.cluster.local."

// serveNames is a STAND-IN for CoreDNS: it tells pods the addresses of Services over UDP and knows no other name.
func (n node) serveNames(ctx context.Context) error {
	connection, err := net.ListenPacket("udp", net.JoinHostPort(n.address.String(), "53"))
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		connection.Close()
	}()
	go func() {
		packet := make([]byte, 512)
		for {
			size, from, err := connection.ReadFrom(packet)
			if err != nil {
				return
			}
			answer, err := n.answer(ctx, packet[:size])
			if err == nil {
				_, err = connection.WriteTo(answer, from)
			}
			if err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "names:", err)
			}
		}
	}()
	return nil
}

func (n node) answer(ctx context.Context, packet []byte) ([]byte, error) {
	var query dnsmessage.Message
	if err := query.Unpack(packet); err != nil {
		return nil, err
	}
	if len(query.Questions) != 1 {
		return nil, fmt.Errorf("%d questions at a time", len(query.Questions))
	}
	question := query.Questions[0]
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true, RecursionDesired: query.RecursionDesired},
		Questions: query.Questions,
	}
	address, err := n.lookUp(ctx, question.Name.String())
	switch {
	case err != nil:
		return nil, err
	case address == nil:
		answer.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 5},
			Body:   &dnsmessage.AResource{A: [4]byte(address)},
		}}
	}
	return answer.Pack()
}

// lookUp is the address of a Service by its full name, nil where there is none.
func (n node) lookUp(ctx context.Context, name string) (net.IP, error) {
	service, found := strings.CutSuffix(strings.ToLower(name), serviceDomain)
	name, namespace, _ := strings.Cut(service, ".")
	if !found || namespace == "" || strings.Contains(namespace, ".") {
		return nil, nil
	}
	one, err := n.admin.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return net.ParseIP(one.Spec.ClusterIP).To4(), nil
}
