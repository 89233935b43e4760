package horizontalpodautoscaler

import "k8s.io/apimachinery/pkg/api/resource"

// cpu is an amount of thousandths of a core.
func cpu(milli int64) *resource.Quantity { return resource.NewMilliQuantity(milli, resource.DecimalSI) }
