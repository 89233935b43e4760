// Operator is the program of the pods of the tests' charts. It knows the API by its service account only.
//
//	operator controller     the controllers of certs.example.com, with leader election
//	operator webhook        the webhooks of certs.example.com; makes its own authority and keeps it in a Secret
//	operator cainjector     writes Secrets' authorities into webhook configurations, custom kinds and API services
//	operator check          waits until the API takes a Certificate
//	operator create         makes a serving certificate in a Secret, if there is none
//	operator patch          writes the Secret's authority into a webhook configuration
//	operator ingress        an ingress controller: a proxy for the Ingresses of a class, their status, and a webhook for them
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"gantry/integration/clients/operator/certs"
)

// options are the flags of all commands.
type options struct {
	namespace       string // of the program's own objects
	watched         string // the only namespace of the controllers' objects
	leaderNamespace string
	secret          string
	host            string // the names of a certificate
	webhook         string // the name of a webhook configuration
	class           string // of Ingresses
	service         string // whose address the Ingresses get
}

var commands = map[string]func(context.Context, options) error{
	"controller": runController, "webhook": runWebhook, "cainjector": runInjector, "check": check,
	"create": createCertificate, "patch": patchWebhook, "ingress": runIngress,
}

func main() {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stdout, nil)))
	if err := run(os.Args[1:]); err != nil {
		slog.Error("ended", "err", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("usage: operator controller|webhook|cainjector|check|create|patch|ingress")
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "of the program's own objects")
	flags.StringVar(&o.watched, "watch-namespace", "", "the only namespace of the controllers' objects; there are no ClusterIssuers then")
	flags.StringVar(&o.leaderNamespace, "leader-election-namespace", os.Getenv("POD_NAMESPACE"), "of the Lease")
	flags.StringVar(&o.secret, "secret", "", "of a certificate")
	flags.StringVar(&o.host, "host", "", "names in a certificate, comma separated")
	flags.StringVar(&o.webhook, "webhook", "", "the name of a webhook configuration")
	flags.StringVar(&o.class, "class", "", "of Ingresses")
	flags.StringVar(&o.service, "publish-service", "", "whose address the Ingresses get")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return commands[args[0]](ctrl.SetupSignalHandler(), o)
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		panic(err) // only for two kinds of one name
	}
	certs.AddToScheme(s)
	return s
}

// newClient is a client without a cache.
func newClient() (client.Client, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: newScheme()})
}

// newManager makes a manager with probes on 8081 and, with a name of a Lease, leader election.
func newManager(o options, lease string, hooks webhook.Server) (ctrl.Manager, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	var caches cache.Options
	if o.watched != "" {
		caches.DefaultNamespaces = map[string]cache.Config{o.watched: {}}
	}
	m, err := ctrl.NewManager(config, ctrl.Options{
		Cache: caches, Scheme: newScheme(), HealthProbeBindAddress: ":8081", Metrics: metricsserver.Options{BindAddress: "0"}, WebhookServer: hooks,
		LeaderElection: lease != "", LeaderElectionID: lease, LeaderElectionNamespace: o.leaderNamespace, LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, err
	}
	ready := healthz.Ping
	if hooks != nil {
		ready = m.GetWebhookServer().StartedChecker() // which adds it to the manager
	}
	return m, errors.Join(m.AddHealthzCheck("ping", healthz.Ping), m.AddReadyzCheck("ready", ready))
}

func runController(ctx context.Context, o options) error {
	m, err := newManager(o, "certs-controller", nil)
	if err != nil {
		return err
	}
	issuers := o.namespace
	if o.watched != "" {
		issuers = ""
	}
	if err := certs.AddControllers(m, issuers); err != nil {
		return fmt.Errorf("adding the controllers: %w", err)
	}
	return m.Start(ctx)
}
