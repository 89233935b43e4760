package wire

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// What is written must be read again, and reading must not cost more than its bytes. So times and quantities have limits.

// The seconds since 1970 of the first and the last time that RFC 3339 can express: the years 0000 to 9999 in UTC.
var (
	firstSecond = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

func timeFits(t time.Time) bool {
	s := t.Unix()
	return s >= firstSecond && s <= lastSecond
}

// A quantity's text is at most maxQuantityLength bytes with an exponent of at most maxExponent either way. resource.ParseQuantity has no such
// limits and multiplies by ten as often as an exponent says.
const (
	maxQuantityLength = 64
	maxExponent       = 64
)

// isBoundedQuantity tells whether a text may be parsed as a quantity. It may still not be one.
func isBoundedQuantity(text string) bool {
	if len(text) > maxQuantityLength {
		return false
	}
	at := strings.IndexAny(text, "eE")
	if at < 0 || at == len(text)-1 {
		return true // "1E" is a suffix, as "1Ei"
	}
	exponent, err := strconv.Atoi(text[at+1:])
	return err != nil || -maxExponent <= exponent && exponent <= maxExponent
}

// The limits of quantities, as resource.Quantity documents them.
var (
	greatestQuantity = resource.NewQuantity(1<<63-1, resource.DecimalSI)
	leastQuantity    = resource.NewQuantity(-1<<63+1, resource.DecimalSI)
)

// quantityFits tells whether a quantity is within 2^63-1 either way and no finer than a nano, as every parsed one is. text
// is what it is written as, "" where that is not known.
func quantityFits(q *resource.Quantity, text string) bool {
	if text != "" && len(text) <= 18 && q.Format != resource.DecimalExponent {
		switch c := text[len(text)-1]; {
		case c-'0' <= 9, c == 'm', c == 'u', c == 'n':
			return true
		case c == 'k', c == 'M', c == 'G', c == 'i' && len(text) > 1 && strings.IndexByte("KMG", text[len(text)-2]) >= 0:
			if len(text) <= 10 {
				return true
			}
		}
	}
	if n, ok := q.AsInt64(); ok {
		return n >= -1<<63+1
	}
	if q.IsZero() {
		return true
	}
	const nano, digits, bits = 9, 1000, 4096
	c := q.DeepCopy()
	if d := c.AsDec(); d.Scale() > nano || d.Scale() < -digits || d.UnscaledBig().BitLen() > bits {
		return false // there is no suffix for it, or it would cost too much to compare
	}
	return c.Cmp(*greatestQuantity) <= 0 && c.Cmp(*leastQuantity) >= 0
}
