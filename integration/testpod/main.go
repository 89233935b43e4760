// Testpod is the program inside the pods of the integration tests.
//
//	testpod serve [PORT]       answers HTTP with its host name, UDP with the same; /work uses the CPU for a while first
//	testpod api PATH           GETs PATH from the API with the pod's own token; prints the status and the body
//	testpod get URL            prints the body of URL
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: testpod serve|api|get")
	}
	var err error
	switch os.Args[1] {
	case "serve":
		port := "8080"
		if len(os.Args) > 2 {
			port = os.Args[2]
		}
		err = serve(port)
	case "api":
		err = api(os.Args[2])
	case "get":
		err = get(&http.Client{Timeout: 5 * time.Second}, os.Args[2], "")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(port string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		fmt.Println("ended by SIGTERM")
		os.Exit(0)
	}()
	packets, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 100)
		for {
			_, from, err := packets.ReadFrom(buf)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := packets.WriteTo([]byte(name), from); err != nil {
				log.Print(err)
			}
		}
	}()
	fmt.Println("serving on", port)
	return http.ListenAndServe(":"+port, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/client" {
			fmt.Fprintln(w, req.RemoteAddr)
			return
		}
		if req.URL.Path == "/work" {
			for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
			}
		}
		fmt.Fprintln(w, name)
	}))
}

func api(path string) error {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	host := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	return get(c, "https://"+host+path, string(token))
}

func get(c *http.Client, url, token string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if token != "" {
		fmt.Println(resp.StatusCode)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
