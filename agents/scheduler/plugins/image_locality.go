package plugins

import (
	"gantry/agents/scheduler/framework"
)

// The sizes in bytes, per container, of images on the node that give the least and the best score.
const (
	smallImage = 23 << 20
	largeImage = 1000 << 20
)

// scoreImageLocality is high when the node has much of what the pod would pull. A size is scaled by the share of nodes that have the image, so that
// one node with an image does not get every pod.
func scoreImageLocality(state *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
	var sum int64
	for _, image := range state.Signature.Images {
		size, ok := n.Images[image]
		if !ok {
			size, ok = n.Images[image+":latest"]
		}
		if ok {
			sum += int64(float64(size) * float64(max(1, state.Cluster.Images[image])) / float64(max(1, len(state.Cluster.NodeList))))
		}
	}
	high := int64(largeImage * max(1, len(state.Signature.Images)))
	return float64(framework.MaxNodeScore * (max(smallImage, min(sum, high)) - smallImage) / (high - smallImage))
}
