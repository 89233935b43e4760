package podstatus

import "time"

// Problem is why a container waits, as in its status: {"ErrImagePull", "pulling ..."}.
type Problem struct {
	Reason, Message string
	Since           time.Time
	Image           string // that could not be pulled
}

// Reasons of a waiting container.
const (
	WaitCreating      = "ContainerCreating"
	waitInitializing  = "PodInitializing"
	waitCrashLoop     = "CrashLoopBackOff"
	WaitConfigError   = "CreateContainerConfigError"
	WaitCreateError   = "CreateContainerError"
	WaitRunError      = "RunContainerError"
	WaitHookError     = "PostStartHookError"
	WaitInvalidImage  = "InvalidImageName"
	WaitNeverPull     = "ErrImageNeverPull"
	WaitImagePull     = "ErrImagePull"
	WaitImageBackOff  = "ImagePullBackOff"
	waitImageInspect  = "ImageInspectError"
	reasonStatusLost  = "ContainerStatusUnknown"
	messageStatusLost = "The container could not be located when the pod was terminated"
)
