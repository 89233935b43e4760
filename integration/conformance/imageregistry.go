package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// registryHost is the registry of the suite's images.
const registryHost = "registry.k8s.io"

// imageRegistry is registryHost as the nodes' engines see it: they reach it as an HTTPS proxy and trust its certificate. It
// reaches nothing else.
type imageRegistry struct {
	handler     http.Handler
	certificate tls.Certificate
	certFile    string
}

func (r *run) newRegistry() (*imageRegistry, error) {
	images := &imageRegistry{certFile: filepath.Join(r.work, "registry.crt")}
	blobs := filepath.Join(r.work, "registry")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	images.handler = registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)), registry.Logger(log.New(io.Discard, "", 0)))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: registryHost}, DNSNames: []string{registryHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	images.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return images, os.WriteFile(images.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// engineEnv is the environment of an engine that shall use the registry at l.
func (i *imageRegistry) engineEnv(l net.Listener) []string {
	return []string{"HTTPS_PROXY=http://" + l.Addr().String(), "HTTP_PROXY=http://" + l.Addr().String(), "SSL_CERT_FILE=" + i.certFile}
}

// serve answers CONNECT requests for the registry as the registry itself, until l is closed.
func (i *imageRegistry) serve(l net.Listener) {
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect || req.Host != registryHost+":443" {
			http.Error(w, "only "+registryHost+" is reached here", http.StatusBadGateway)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			return
		}
		served := &oneConn{conn: tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{i.certificate}}), closed: make(chan struct{})}
		_ = http.Serve(served, i.handler)
	}))
}

// fill pushes the images that tests pull.
func (i *imageRegistry) fill(ctx context.Context, n *node) error {
	for _, image := range testImages {
		if !image.pulled {
			continue
		}
		for _, name := range image.names {
			if out, err := command(ctx, "docker", "--host", n.dockerHost(), "push", name).CombinedOutput(); err != nil {
				return fmt.Errorf("pushing %s: %w: %s", name, err, out)
			}
		}
	}
	return nil
}

// oneConn is a listener with one connection. Accept returns an error once that connection is closed.
type oneConn struct {
	conn     net.Conn
	accepted bool
	closed   chan struct{}
}

func (o *oneConn) Accept() (net.Conn, error) {
	if !o.accepted {
		o.accepted = true
		return closing{o.conn, o.closed}, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

func (o *oneConn) Close() error   { return nil }
func (o *oneConn) Addr() net.Addr { return o.conn.LocalAddr() }

// closing tells of its connection's end. net/http closes a connection once.
type closing struct {
	net.Conn
	closed chan struct{}
}

func (c closing) Close() error {
	defer close(c.closed)
	return c.Conn.Close()
}
