package scheduler

// The sizes in bytes, per container, of images on the node that give the least and the best score.
const (
	smallImage = 23 << 20
	largeImage = 1000 << 20
)

// scoreImageLocality is high when the node has much of what the pod would pull. A size is scaled by the share of nodes that have the image, so that
// one node with an image does not get every pod.
func scoreImageLocality(state *preFilterState, _ any, n *node) float64 {
	var sum int64
	for _, image := range state.signature.images {
		size, ok := n.images[image]
		if !ok {
			size, ok = n.images[image+":latest"]
		}
		if ok {
			sum += int64(float64(size) * float64(max(1, state.cluster.images[image])) / float64(max(1, len(state.cluster.nodeList))))
		}
	}
	high := int64(largeImage * max(1, len(state.signature.images)))
	return float64(maxNodeScore * (max(smallImage, min(sum, high)) - smallImage) / (high - smallImage))
}
