package stream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"gantry/agents/gateway/request"
)

// Log streams a container's log from the pod's kubelet.
func (s *Handlers) Log(w http.ResponseWriter, r *request.Request) error {
	q, err := logParameters(r)
	if err != nil {
		return err
	}
	pod, err := s.podOf(r.Context(), r)
	if err != nil {
		return err
	}
	container, err := containerOf(pod, r.Query.Get("container"))
	if err != nil {
		return err
	}
	if pod.Spec.NodeName == "" {
		if !wsstream.IsWebSocketRequest(r.Request) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return sendLog(w, r, http.NoBody) // nothing has run, so nothing was written
	}
	ctx, u, err := s.kubeletOf(r.Context(), pod.Spec.NodeName)
	if err != nil {
		return err
	}
	u.Path = "/containerLogs/" + pod.Namespace + "/" + pod.Name + "/" + container
	u.RawQuery = q.Encode()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := s.kubelets.transport.RoundTrip(req) // not a Client: redirects are never followed
	if err != nil {
		return unreachable(r.Context(), pod.Spec.NodeName, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return kubeletError(r, resp)
	}
	return sendLog(w, r, resp.Body)
}

// sendLog writes a log as text, or as the messages of a WebSocket where that was asked for.
func sendLog(w http.ResponseWriter, r *request.Request, from io.ReadCloser) error {
	if wsstream.IsWebSocketRequest(r.Request) {
		return sendMessages(w, r.Request, from)
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	follow := request.Flag(r.Query, "follow")
	if follow && http.NewResponseController(w).Flush() != nil {
		return nil // the client has left
	}
	copyFlushing(w, from, follow)
	return nil
}

// logParameters are the parameters of a log as the kubelet takes them, which are the same.
func logParameters(r *request.Request) (url.Values, error) {
	out := url.Values{}
	var faults field.ErrorList
	for _, name := range []string{"follow", "previous", "timestamps"} {
		if request.Flag(r.Query, name) {
			out.Set(name, "true")
		}
	}
	for name, least := range map[string]int64{"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1} {
		n, err := request.Number(r.Query, name)
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		if *n < least {
			what := "must be greater than or equal to 0"
			if least == 1 {
				what = "must be greater than 0"
			}
			faults = append(faults, field.Invalid(field.NewPath(name), *n, what))
		}
		out.Set(name, strconv.FormatInt(*n, 10))
	}
	if v := r.Query.Get("sinceTime"); v != "" {
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if out.Has("sinceSeconds") {
			faults = append(faults, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
		}
		out.Set("sinceTime", v)
	}
	if v := r.Query.Get("stream"); v != "" {
		if v != "All" && v != "Stdout" && v != "Stderr" {
			faults = append(faults, field.NotSupported(field.NewPath("stream"), v, []string{"All", "Stderr", "Stdout"}))
		}
		out.Set("stream", v)
	}
	if len(faults) > 0 {
		return nil, apierrors.NewInvalid(kschema.GroupKind{Kind: "PodLogOptions"}, r.Name, faults)
	}
	return out, nil
}

// maxKubeletError bounds what is read of a kubelet's error.
const maxKubeletError = 64 << 10 // bytes

// kubeletError is the error of a kubelet's answer that is not what was asked for.
func kubeletError(r *request.Request, resp *http.Response) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return apierrors.NewGenericServerResponse(http.StatusBadGateway, "", r.GR(), r.Name, "the backend attempted to redirect this request, which is not permitted", 0, true)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKubeletError))
	if err != nil {
		body = fmt.Appendf(body, "reading the kubelet's answer: %v", err)
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError:
		return apierrors.NewInternalError(fmt.Errorf("%s", body))
	case http.StatusBadRequest:
		return apierrors.NewBadRequest(string(body))
	}
	return apierrors.NewGenericServerResponse(resp.StatusCode, "", r.GR(), r.Name, string(body), 0, false)
}

// copyFlushing copies a stream; eager sends every piece on at once.
func copyFlushing(w http.ResponseWriter, from io.Reader, eager bool) {
	conn := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			if eager && conn.Flush() != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
