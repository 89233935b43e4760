package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// amount is a quantity, in thousandths. resource.ParseQuantity has no limits and multiplies by ten as often as an exponent says.
type amount int64

const (
	maxLength   = 64 // bytes of a quantity's text
	maxExponent = 64
)

func (a *amount) UnmarshalJSON(data []byte) error {
	text := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	if len(text) > maxLength {
		return fmt.Errorf("a quantity of %d characters", len(text))
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if n, err := strconv.Atoi(text[i+1:]); err == nil && (n > maxExponent || n < -maxExponent) {
			return fmt.Errorf("a quantity with the exponent %d", n)
		}
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return fmt.Errorf("quantity %q: %w", text, err)
	}
	*a = amount(milli(q))
	return nil
}

// milli is a quantity in thousandths, or the largest number there is.
func milli(q resource.Quantity) int64 {
	const most = math.MaxInt64 / 1000
	switch {
	case q.CmpInt64(most) > 0:
		return math.MaxInt64
	case q.CmpInt64(-most) < 0:
		return math.MinInt64
	}
	return q.MilliValue()
}

// Add is the sum of two amounts, or the largest number there is.
func Add(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
