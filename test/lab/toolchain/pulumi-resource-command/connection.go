package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentSocketVariable names the SSH agent's socket when the connection does not.
const agentSocketVariable = "SSH_AUTH_SOCK"

// connection reads the fields of a `connection` or `proxy` input.
type connection struct {
	fields resource.PropertyMap
}

func (c connection) text(key resource.PropertyKey) string { return text(c.fields[key]) }

// number falls back to the documented default of the field.
func (c connection) number(key resource.PropertyKey) float64 {
	if value := unwrap(c.fields[key]); value.IsNumber() {
		return value.NumberValue()
	}
	return hostDefaults[key].NumberValue()
}

func (c connection) address() string {
	return net.JoinHostPort(c.text("host"), strconv.Itoa(int(c.number("port"))))
}

// dial connects directly, or through the proxy with the proxy's own limits.
func (c connection) dial(ctx context.Context, report func(string)) (*ssh.Client, error) {
	config, closeAgent, err := c.clientConfig()
	if err != nil {
		return nil, err
	}
	defer closeAgent()
	if !unwrap(c.fields["proxy"]).IsObject() {
		return retryDial(ctx, c, "Dial", report, func() (*ssh.Client, error) {
			return ssh.Dial("tcp", c.address(), config)
		})
	}
	proxy, err := connection{object(c.fields["proxy"])}.dial(ctx, report)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	client, err := retryDial(ctx, c, "Dial through proxy", report, func() (*ssh.Client, error) {
		return c.dialThrough(proxy, config)
	})
	if err != nil {
		_ = proxy.Close()
		return nil, err
	}
	go func() {
		_ = client.Wait()
		_ = proxy.Close()
	}()
	return client, nil
}

func (c connection) dialThrough(proxy *ssh.Client, config *ssh.ClientConfig) (*ssh.Client, error) {
	stream, err := proxy.Dial("tcp", c.address())
	if err != nil {
		return nil, err
	}
	conn, channels, requests, err := ssh.NewClientConn(stream, c.address(), config)
	if err != nil {
		_ = stream.Close()
		return nil, err
	}
	return ssh.NewClient(conn, channels, requests), nil
}

// retryDial tries dialErrorLimit+1 times (-1: for ever) with a pause of 100 ms that grows by half up to 5 s. Every error
// is retried, a refused key or a changed host key too. The count in the message is that of the retries.
func retryDial(
	ctx context.Context, c connection, what string, report func(string), dial func() (*ssh.Client, error),
) (*ssh.Client, error) {
	limit := int(c.number("dialErrorLimit"))
	ok, client, err := retry.Until(ctx, retry.Acceptor{
		Accept: func(try int, _ time.Duration) (bool, any, error) {
			client, err := dial()
			if err == nil {
				return true, client, nil
			}
			if limit >= 0 && try >= limit {
				return true, nil, fmt.Errorf("after %d failed attempts: %w", try, err)
			}
			report(fmt.Sprintf("%s %d/%s failed: retrying", what, try+1, limitText(limit)))
			return false, nil, nil
		},
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ctx.Err()
	}
	return client.(*ssh.Client), nil
}

func limitText(limit int) string {
	if limit < 0 {
		return "inf"
	}
	return strconv.Itoa(limit)
}

// clientConfig bounds the TCP connect by perDialTimeout; like the official provider it sets no bound on the handshake.
// The returned function closes the agent's socket.
func (c connection) clientConfig() (*ssh.ClientConfig, func(), error) {
	config := &ssh.ClientConfig{
		User:            c.text("user"),
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Timeout:         time.Duration(c.number("perDialTimeout") * float64(time.Second)),
	}
	if config.User == "" {
		config.User = hostDefaults["user"].StringValue()
	}
	if err := c.pinHostKey(config); err != nil {
		return nil, nil, err
	}
	if key := c.text("privateKey"); key != "" {
		signer, err := parsePrivateKey(key, c.text("privateKeyPassword"))
		if err != nil {
			return nil, nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if password := c.text("password"); password != "" {
		config.Auth = append(config.Auth, ssh.Password(password), ssh.KeyboardInteractive(answerWith(password)))
	}
	closeAgent, err := c.addAgent(config)
	return config, closeAgent, err
}

// pinHostKey accepts one key only, and asks the server for that key's type: a server that has several would otherwise
// choose another. As with the official provider the type of an RSA key means SHA-1 signatures, which OpenSSH no longer
// makes: pin an ed25519 or ecdsa key.
func (c connection) pinHostKey(config *ssh.ClientConfig) error {
	line := c.text("hostKey")
	if line == "" {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return fmt.Errorf("failed to parse host key: %w", err)
	}
	config.HostKeyCallback = ssh.FixedHostKey(key)
	config.HostKeyAlgorithms = []string{key.Type()}
	return nil
}

func (c connection) addAgent(config *ssh.ClientConfig) (func(), error) {
	path := c.text("agentSocketPath")
	if path == "" {
		path = os.Getenv(agentSocketVariable)
	}
	if path == "" {
		return func() {}, nil
	}
	socket, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(socket).Signers))
	return func() { _ = socket.Close() }, nil
}

func parsePrivateKey(key, password string) (ssh.Signer, error) {
	if password != "" {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(password))
	}
	signer, err := ssh.ParsePrivateKey([]byte(key))
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		return nil, errors.New("connection.privateKey is encrypted - set connection.privateKeyPassword")
	}
	return signer, err
}

func answerWith(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = password
		}
		return answers, nil
	}
}

func object(value resource.PropertyValue) resource.PropertyMap {
	if value = unwrap(value); value.IsObject() {
		return value.ObjectValue()
	}
	return resource.PropertyMap{}
}
