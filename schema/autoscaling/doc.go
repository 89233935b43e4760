// Package autoscaling has the kind of the group autoscaling: horizontal pod autoscalers, which are stored in v2 and served in v1 as well.
package autoscaling
