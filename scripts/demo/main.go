// Demo is the web server that ./scripts/up deploys: it answers every request with the name of its pod. With
// arguments it prints them after that name and ends, as the pod of a Job does.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	name, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	if words := os.Args[1:]; len(words) > 0 {
		fmt.Println(name, strings.Join(words, " "))
		return
	}
	s := &http.Server{
		Addr:              ":8080",
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			fmt.Fprintln(w, name)
			log.Printf("%s %s %s", req.RemoteAddr, req.Method, req.URL.Path)
		}),
	}
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(grace) // the process ends either way
	})
	log.Printf("%s serves on %s", name, s.Addr)
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
