package scheduler

import "slices"

// maxNodeScore is the best score of one plug-in.
const maxNodeScore = 100

// normalizeByMax gives the highest score maxNodeScore and the others their share of it; all 0 stay so.
func normalizeByMax(scores []float64) {
	top := slices.Max(scores)
	if top <= 0 {
		return
	}
	for i := range scores {
		scores[i] = float64(int64(maxNodeScore * scores[i] / top))
	}
}

// normalizeReversed is normalizeByMax for scores of which the lowest is the best.
func normalizeReversed(scores []float64) {
	normalizeByMax(scores)
	for i := range scores {
		scores[i] = maxNodeScore - scores[i]
	}
}

// normalizeMinMax gives the lowest score 0 and the highest maxNodeScore; equal scores are 0.
func normalizeMinMax(scores []float64) {
	low, top := slices.Min(scores), slices.Max(scores)
	for i := range scores {
		if top > low {
			scores[i] = maxNodeScore * (scores[i] - low) / (top - low)
		} else {
			scores[i] = 0
		}
	}
}
