package kubelet

import "time"

// problem is why a container waits, as in its status: {"ErrImagePull", "pulling ..."}.
type problem struct {
	reason, message string
	since           time.Time
}

// Reasons of a waiting container.
const (
	waitCreating      = "ContainerCreating"
	waitInitializing  = "PodInitializing"
	waitCrashLoop     = "CrashLoopBackOff"
	waitConfigError   = "CreateContainerConfigError"
	waitCreateError   = "CreateContainerError"
	waitRunError      = "RunContainerError"
	waitHookError     = "PostStartHookError"
	waitInvalidImage  = "InvalidImageName"
	waitNeverPull     = "ErrImageNeverPull"
	waitImagePull     = "ErrImagePull"
	waitImageBackOff  = "ImagePullBackOff"
	waitImageInspect  = "ImageInspectError"
	reasonStatusLost  = "ContainerStatusUnknown"
	messageStatusLost = "The container could not be located when the pod was terminated"
)
