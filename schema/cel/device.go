package cel

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apiserver/pkg/cel/environment"
	dracel "k8s.io/dynamic-resource-allocation/cel"
)

// Device is a compiled selector of devices: its DeviceMatches evaluates it.
type Device = dracel.CompilationResult

// CompileDevice compiles a selector of devices. One that is stored already may use what new ones may not.
func CompileDevice(b *Budget, expression string, stored bool) (*Device, *Error) {
	if _, err := b.parse(base(), expression); err != nil {
		return nil, err
	}
	kind := environment.NewExpressions
	if stored {
		kind = environment.StoredExpressions
	}
	device := dracel.GetCompiler(dracel.Features{EnableConsumableCapacity: true}).CompileCELExpression(expression, dracel.Options{EnvType: &kind})
	if device.Error != nil {
		return nil, device.Error
	}
	return &device, nil
}

// TooComplex tells whether evaluating a selector may cost more than one of a device may.
func TooComplex(d *Device) bool { return d.MaxCost > resourcev1.CELSelectorExpressionMaxCost }
