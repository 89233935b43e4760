package storage

import (
	"reflect"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// validateAttributesClass checks that the driver is named validly, and that there are parameters, which have keys and are not too large.
func validateAttributesClass(c *storagev1.VolumeAttributesClass) field.ErrorList {
	var f check.Errors
	checkProvisioner(&f, c.DriverName, field.NewPath("driverName"))
	parameters := field.NewPath("parameters")
	checkParameters(&f, c.Parameters, parameters)
	if len(c.Parameters) == 0 {
		f.Required(parameters, "must contain at least one key/value pair")
	}
	return f.List
}

// validateAttributesClassUpdate checks that driver and parameters stay.
func validateAttributesClassUpdate(c, old *storagev1.VolumeAttributesClass) field.ErrorList {
	var f check.Errors
	if c.DriverName != old.DriverName {
		f.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden.")
	}
	if !reflect.DeepEqual(c.Parameters, old.Parameters) {
		f.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden.")
	}
	f.Add(validateAttributesClass(c)...)
	return f.List
}
