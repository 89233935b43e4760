package engine

import (
	"cmp"
	"slices"
)

// NewestFirst orders attempts of one container.
func NewestFirst(a, b *ContainerStatus) int {
	return cmp.Or(cmp.Compare(b.Attempt, a.Attempt), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
}

// PodStatus is a pod's containers: its sandboxes, and the attempts of each container, each newest first.
type PodStatus struct {
	Sandboxes  []*ContainerStatus
	Containers map[string][]*ContainerStatus // by name
}

// NewPodStatus groups the containers of one pod, given by ID.
func NewPodStatus(all map[string]*ContainerStatus) PodStatus {
	p := PodStatus{Containers: map[string][]*ContainerStatus{}}
	for _, s := range all {
		if s.Sandbox {
			p.Sandboxes = append(p.Sandboxes, s)
		} else {
			p.Containers[s.Container] = append(p.Containers[s.Container], s)
		}
	}
	slices.SortFunc(p.Sandboxes, NewestFirst)
	for _, list := range p.Containers {
		slices.SortFunc(list, NewestFirst)
	}
	return p
}

// Sandbox is the newest one, nil where there is none.
func (p PodStatus) Sandbox() *ContainerStatus {
	if len(p.Sandboxes) == 0 {
		return nil
	}
	return p.Sandboxes[0]
}

// Latest is the newest attempt of a container, nil where there is none.
func (p PodStatus) Latest(name string) *ContainerStatus {
	if len(p.Containers[name]) == 0 {
		return nil
	}
	return p.Containers[name][0]
}
