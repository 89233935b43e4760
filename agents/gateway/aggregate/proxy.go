package aggregate

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"strings"

	"gantry/agents/gateway/request"
	"gantry/agents/internal/extensionclient"
)

// unavailable is the body of the answer where no server can be asked, as Kubernetes words it.
const unavailable = "service unavailable"

// Proxy is the handler of requests for an API service: it passes them on, upgraded connections included.
func (a *Aggregator) Proxy(s *Service) request.Handler {
	return func(w http.ResponseWriter, r *request.Request) error {
		if !s.Available() {
			http.Error(w, unavailable, http.StatusServiceUnavailable)
			return nil
		}
		all, err := a.endpoints(r.Context(), s.Spec.Service)
		if err != nil {
			a.cfg.Log.Warn("extension server not found", "name", s.Name, "err", err)
			http.Error(w, unavailable, http.StatusServiceUnavailable)
			return nil
		}
		transport, err := a.client.Transport(&s.Spec, r.Header.Get("Upgrade") != "")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return nil
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if r.LongRunning() {
			defer context.AfterFunc(request.Stopping(ctx), cancel)()
		}
		proxyTo(all[rand.N(len(all))], transport, r, a.cfg.Log).ServeHTTP(w, r.WithContext(ctx))
		return nil
	}
}

// proxyTo passes one request on to an endpoint.
func proxyTo(address string, transport http.RoundTripper, r *request.Request, log *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // an event of a watch goes at once
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "https", address
			h := p.Out.Header
			h.Del("Authorization")
			for name := range h {
				if strings.HasPrefix(name, "Impersonate-") {
					delete(h, name)
				}
			}
			extensionclient.SetUser(h, &r.User)
			h["X-Forwarded-For"] = r.Header.Values("X-Forwarded-For")
			p.SetXForwarded()
		},
		ModifyResponse: refuseRedirect,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("error trying to reach service: %v", err), http.StatusServiceUnavailable)
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// refuseRedirect makes a redirect an error: it would lead the client, with its credentials, anywhere.
func refuseRedirect(res *http.Response) error {
	if res.StatusCode < 300 || res.StatusCode > 399 || res.Header.Get("Location") == "" {
		return nil
	}
	const text = "the backend attempted to redirect this request, which is not permitted"
	_ = res.Body.Close()
	res.StatusCode, res.Status = http.StatusBadGateway, ""
	res.Header = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return nil
}
