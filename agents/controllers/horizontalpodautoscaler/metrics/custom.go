package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	customGroup   = "custom.metrics.k8s.io"
	externalGroup = "external.metrics.k8s.io"
)

// customVersions are the versions of the custom metrics API that are understood, best first.
var customVersions = []string{"v1beta2", "v1beta1"}

// metricValueList is a MetricValueList of either version, and an ExternalMetricValueList, without what is not used of them.
type metricValueList struct {
	Items []metricValue `json:"items"`
}

type metricValue struct {
	DescribedObject struct {
		Name string `json:"name"`
	} `json:"describedObject"`
	Timestamp     metav1.Time `json:"timestamp"`
	WindowSeconds *int64      `json:"windowSeconds"`
	Value         amount      `json:"value"`
}

// Pods is a metric of the pods of a namespace that selector selects, by their names.
func (c Client) Pods(ctx context.Context, metric, namespace string, selector, metricSelector labels.Selector) (map[string]Pod, error) {
	items, err := c.custom(ctx, map[string]labels.Selector{"labelSelector": selector, "metricLabelSelector": metricSelector}, "namespaces", namespace, "pods", "*", metric)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, errors.New("no metrics returned from custom metrics API")
	}
	out := make(map[string]Pod, len(items))
	for _, m := range items {
		out[m.DescribedObject.Name] = Pod{Value: int64(m.Value), At: m.Timestamp.Time, Window: windowOf(m.WindowSeconds)}
	}
	return out, nil
}

// Object is a metric of one object, of which resource is the plural with its group: "deployments.apps". Of a namespace, resource is
// "namespaces", and the namespace itself is meant.
func (c Client) Object(ctx context.Context, metric, namespace, resource, name string, metricSelector labels.Selector) (int64, error) {
	segments := []string{"namespaces", namespace, resource, name, metric}
	if resource == "namespaces" {
		segments = []string{"namespaces", namespace, "metrics", metric}
	}
	items, err := c.custom(ctx, map[string]labels.Selector{"metricLabelSelector": metricSelector}, segments...)
	if err != nil {
		return 0, err
	}
	if len(items) != 1 {
		return 0, fmt.Errorf("unable to fetch metrics from custom metrics API: the custom metrics API server returned %d results when we asked for exactly one", len(items))
	}
	return int64(items[0].Value), nil
}

// custom asks the custom metrics API in the best version that the server has.
func (c Client) custom(ctx context.Context, selectors map[string]labels.Selector, segments ...string) ([]metricValue, error) {
	version, err := c.customVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", err)
	}
	var list metricValueList
	if err := c.get(ctx, &list, selecting(selectors), append([]string{customGroup, version}, segments...)...); err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", err)
	}
	return list.Items, nil
}

func (c Client) customVersion(ctx context.Context) (string, error) {
	var group metav1.APIGroup
	if err := c.get(ctx, &group, url.Values{}, customGroup); err != nil {
		return "", fmt.Errorf("no custom metrics API (%s) registered: %w", customGroup, err)
	}
	for _, want := range customVersions {
		for _, v := range group.Versions {
			if v.Version == want {
				return want, nil
			}
		}
	}
	return "", fmt.Errorf("no known available metric versions found")
}

// External are all values of an external metric that selector selects.
func (c Client) External(ctx context.Context, metric, namespace string, selector labels.Selector) ([]int64, error) {
	var list metricValueList
	err := c.get(ctx, &list, selecting(map[string]labels.Selector{"labelSelector": selector}), externalGroup, "v1beta1", "namespaces", namespace, metric)
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from external metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no metrics returned from external metrics API")
	}
	out := make([]int64, 0, len(list.Items))
	for _, m := range list.Items {
		out = append(out, int64(m.Value))
	}
	return out, nil
}
