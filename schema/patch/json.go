package patch

import (
	"errors"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"gantry/schema"
)

func applyJSON(_ *schema.Kind, current, patch []byte) ([]byte, error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, failure(ErrMalformed, err)
	}
	if len(operations) > maxOperations {
		//lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
		return nil, failure(ErrTooLarge, fmt.Errorf(
			"The allowed maximum operations in a JSON patch is %d, got %d", maxOperations, len(operations)))
	}
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = maxBytes // a chain of copies doubles a value each time: CVE-2019-1002100
	o.EscapeHTML = false
	patched, err := operations.ApplyWithOptions(current, o)
	var copies *jsonpatch.AccumulatedCopySizeError
	switch {
	case errors.As(err, &copies):
		return nil, failure(ErrTooLarge, err)
	case err != nil:
		return nil, failure(ErrConflict, err)
	}
	return patched, nil
}
