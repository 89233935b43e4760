package quota

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/schema"
)

// classSuffix is between a storage class and the resource of its claims.
const classSuffix = ".storageclass.storage.k8s.io/"

var one = *resource.NewQuantity(1, resource.DecimalSI)

// ExtendedResource returns the name of the extended resource that the devices of a class are requested by; "" where there is none.
type ExtendedResource func(deviceClass string) string

// Usage is what an object of k uses of every resource that a quota may have. The quantities are read-only.
func Usage(k *schema.Kind, obj schema.Object, now time.Time, extended ExtendedResource) corev1.ResourceList {
	u := corev1.ResourceList{CountName(k.GR()): one}
	switch o := obj.(type) {
	case *corev1.Pod:
		podUsage(u, o, now)
	case *corev1.Service:
		serviceUsage(u, o)
	case *corev1.PersistentVolumeClaim:
		volumeClaimUsage(u, o)
	case *resourcev1.ResourceClaim:
		deviceClaimUsage(u, o, extended)
	default:
		if of(k) == named {
			u[corev1.ResourceName(k.Plural)] = one
		}
	}
	return u
}

// serviceUsage counts the node ports that a Service will have: they are not given out yet.
func serviceUsage(u corev1.ResourceList, svc *corev1.Service) {
	nodePorts, balancers := 0, 0
	switch svc.Spec.Type {
	case corev1.ServiceTypeNodePort:
		nodePorts = len(svc.Spec.Ports)
	case corev1.ServiceTypeLoadBalancer:
		balancers = 1
		given := svc.Spec.AllocateLoadBalancerNodePorts == nil || *svc.Spec.AllocateLoadBalancerNodePorts
		for _, p := range svc.Spec.Ports {
			if given || p.NodePort != 0 {
				nodePorts++
			}
		}
	}
	u[corev1.ResourceServices] = one
	u[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(int64(nodePorts), resource.DecimalSI)
	u[corev1.ResourceServicesLoadBalancers] = *resource.NewQuantity(int64(balancers), resource.DecimalSI)
}

// volumeClaimUsage counts a claim and its storage, also for its storage class.
func volumeClaimUsage(u corev1.ResourceList, claim *corev1.PersistentVolumeClaim) {
	set := func(name corev1.ResourceName, q resource.Quantity) {
		u[name] = q
		if class := storageClassOf(claim); class != "" {
			u[corev1.ResourceName(class)+classSuffix+name] = q
		}
	}
	set(corev1.ResourcePersistentVolumeClaims, one)
	storage, requested := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if !requested {
		return
	}
	// A volume that has grown further than is requested now counts as large as it is.
	if allocated, ok := claim.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(storage) > 0 {
		storage = allocated
	}
	storage = storage.DeepCopy()
	storage.RoundUp(0)
	set(corev1.ResourceRequestsStorage, storage)
}

// storageClassOf is the storage class of a claim: of the annotation from before there was a field, else of the field.
func storageClassOf(claim *corev1.PersistentVolumeClaim) string {
	if class, ok := claim.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return class
	}
	if claim.Spec.StorageClassName != nil {
		return *claim.Spec.StorageClassName
	}
	return ""
}

// deviceClaimUsage counts the devices of a claim by their class: of alternatives the most that one of them takes. Devices of a class that
// has an extended resource are requests of that, too; Kubernetes leaves out those that a pod has been charged for, whose claim the scheduler made.
func deviceClaimUsage(u corev1.ResourceList, claim *resourcev1.ResourceClaim, extended ExtendedResource) {
	devices := map[string]int64{}
	for i := range claim.Spec.Devices.Requests {
		request := &claim.Spec.Devices.Requests[i]
		if exactly := request.Exactly; exactly != nil {
			devices[exactly.DeviceClassName] += devicesOf(exactly.AllocationMode, exactly.Count)
			continue
		}
		most := map[string]int64{}
		for _, sub := range request.FirstAvailable {
			most[sub.DeviceClassName] = max(most[sub.DeviceClassName], devicesOf(sub.AllocationMode, sub.Count))
		}
		for class, n := range most {
			devices[class] += n
		}
	}
	for class, n := range devices {
		q := *resource.NewQuantity(n, resource.DecimalSI)
		u[corev1.ResourceName(class+corev1.ResourceClaimsPerClass)] = q
		u[corev1.ResourceName(corev1.ResourceImplicitExtendedClaimsPerClass+class)] = q
		if name := extended(class); name != "" {
			sum := u[corev1.ResourceName(corev1.DefaultResourceRequestsPrefix+name)]
			sum.Add(q)
			u[corev1.ResourceName(corev1.DefaultResourceRequestsPrefix+name)] = sum
		}
	}
}

// devicesOf is how many devices a request can get at most.
func devicesOf(mode resourcev1.DeviceAllocationMode, count int64) int64 {
	switch mode {
	case resourcev1.DeviceAllocationModeExactCount:
		return count
	case resourcev1.DeviceAllocationModeAll:
		return resourcev1.AllocationResultsMaxSize
	}
	return 0
}
