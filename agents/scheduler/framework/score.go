package framework

import "slices"

// MaxNodeScore is the best score of one plug-in.
const MaxNodeScore = 100

// NormalizeByMax gives the highest score MaxNodeScore and the others their share of it; all 0 stay so.
func NormalizeByMax(scores []float64) {
	top := slices.Max(scores)
	if top <= 0 {
		return
	}
	for i := range scores {
		scores[i] = float64(int64(MaxNodeScore * scores[i] / top))
	}
}

// NormalizeReversed is NormalizeByMax for scores of which the lowest is the best.
func NormalizeReversed(scores []float64) {
	NormalizeByMax(scores)
	for i := range scores {
		scores[i] = MaxNodeScore - scores[i]
	}
}

// NormalizeMinMax gives the lowest score 0 and the highest MaxNodeScore; equal scores are 0.
func NormalizeMinMax(scores []float64) {
	low, top := slices.Min(scores), slices.Max(scores)
	for i := range scores {
		if top > low {
			scores[i] = MaxNodeScore * (scores[i] - low) / (top - low)
		} else {
			scores[i] = 0
		}
	}
}
