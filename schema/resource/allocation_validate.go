package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

func checkAllocation(f *check.Errors, a *resourcev1.AllocationResult, names requestNames, p *field.Path) {
	devices := p.Child("devices")
	each(f, a.Devices.Results, maxRequests, devices.Child("results"), func(r *resourcev1.DeviceRequestAllocationResult, at *field.Path) {
		names.checkOne(f, r.Request, at.Child("request"))
		core.CheckDriverName(f, r.Driver, at.Child("driver"))
		checkPool(f, r.Pool, at.Child("pool"))
		f.Label(at.Child("device"), r.Device)
		checkBinding(f, r.BindingConditions, r.BindingFailureConditions, at)
		if r.ShareID != nil {
			checkUID(f, string(*r.ShareID), at.Child("shareID"))
		}
	})
	each(f, a.Devices.Config, 2*maxConfig, devices.Child("config"), func(c *resourcev1.DeviceAllocationConfiguration, at *field.Path) {
		check.SetOneOf(f, at.Child("source"), c.Source, resourcev1.AllocationConfigSourceClaim, resourcev1.AllocationConfigSourceClass)
		names.check(f, c.Requests, at.Child("requests"))
		checkConfig(f, &c.DeviceConfiguration, false, at)
	})
	if a.NodeSelector != nil {
		f.Add(core.ValidateNodeSelector(a.NodeSelector, p.Child("nodeSelector"))...)
	}
}

const (
	maxConditions      = 8
	maxData            = 10 * 1024 // bytes
	maxInterfaceName   = 256       // bytes
	maxHardwareAddress = 128       // bytes
	maxAddresses       = 16
)

// checkDeviceStatus checks what a driver says of one of the known devices.
func checkDeviceStatus(f *check.Errors, d *resourcev1.AllocatedDeviceStatus, known map[device]bool, p *field.Path) {
	core.CheckDriverName(f, d.Driver, p.Child("driver"))
	checkPool(f, d.Pool, p.Child("pool"))
	f.Label(p.Child("device"), d.Device)
	if d.ShareID != nil {
		checkUID(f, *d.ShareID, p.Child("shareID"))
	}
	if id := deviceOf(d); !known[id] {
		f.Invalid(p, id, "must be an allocated device in the claim")
	}
	if n := len(d.Conditions); n > maxConditions {
		f.Add(field.TooMany(p.Child("conditions"), n, maxConditions))
	}
	f.Add(metavalidation.ValidateConditions(d.Conditions, p.Child("conditions"))...)
	if d.Data != nil && len(d.Data.Raw) > 0 {
		checkObject(f, d.Data.Raw, maxData, p.Child("data"))
	}
	n := d.NetworkData
	if n == nil {
		return
	}
	p = p.Child("networkData")
	if len(n.InterfaceName) > maxInterfaceName {
		f.Add(field.TooLong(p.Child("interfaceName"), "", maxInterfaceName))
	}
	if len(n.HardwareAddress) > maxHardwareAddress {
		f.Add(field.TooLong(p.Child("hardwareAddress"), "", maxHardwareAddress))
	}
	eachOnce(f, n.IPs, maxAddresses, p.Child("ips"), func(address *string, at *field.Path) {
		f.Add(validation.IsValidInterfaceAddress(at, *address)...)
	}, itself)
}
