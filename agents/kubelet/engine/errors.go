package engine

import (
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"
)

// Kinds of errors.
var (
	// ErrNotFound: no such container, image or command.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the container's state does not allow it.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the engine refuses an argument.
	ErrInvalid = errors.New("invalid argument")
	// ErrConfig: a container cannot be configured as its pod asks for. The engine was not asked.
	ErrConfig = errors.New("invalid container configuration")
	// ErrUnreachable: the engine does not answer.
	ErrUnreachable = errors.New("engine unreachable")
	// ErrUnavailable: the engine answers that it cannot serve now.
	ErrUnavailable = errors.New("engine unavailable")
)

// kindError is an error with its kind and the engine's text.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

func notRunning(id string) error {
	return &kindError{ErrConflict, fmt.Errorf("container %s is not running", id)}
}

// classify adds the kind to an error of Docker's client.
func classify(err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		kind = ErrNotFound
	case errdefs.IsConflict(err):
		kind = ErrConflict
	case errdefs.IsInvalidArgument(err):
		kind = ErrInvalid
	case client.IsErrConnectionFailed(err):
		kind = ErrUnreachable
	case errdefs.IsUnavailable(err):
		kind = ErrUnavailable
	default:
		return err
	}
	return &kindError{kind, err}
}
