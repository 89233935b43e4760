package encode

import (
	"net/http"
	"slices"
	"strconv"
)

// Warnings are bounded, so that a body cannot make a header of its own size.
const (
	maxWarnings    = 50
	maxWarningText = 512 // bytes
)

// Warning adds a Warning header, once for a text.
func Warning(w http.ResponseWriter, text string) {
	if len(w.Header()["Warning"]) >= maxWarnings {
		return
	}
	if len(text) > maxWarningText {
		text = text[:maxWarningText]
	}
	value := "299 - " + strconv.QuoteToGraphic(text)
	if !slices.Contains(w.Header()["Warning"], value) {
		w.Header().Add("Warning", value)
	}
}

// CollectWarnings collects the warnings of a write, which may be repeated: those of the last time count.
func CollectWarnings(texts *[]string) func([]string) { return func(t []string) { *texts = t } }

func Warnings(w http.ResponseWriter, texts []string) {
	for _, text := range texts {
		Warning(w, text)
	}
}
