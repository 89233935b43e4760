// Package job has the controllers of jobs: job makes their pods and counts how they end, cronjob makes jobs by the clock, ttlafterfinished
// deletes jobs that have finished.
//
// A pod of a job has the finalizer batch.kubernetes.io/job-tracking until it is counted. Counting is three writes: the status names the
// pods in uncountedTerminatedPods (or their indexes in completedIndexes), the pods lose the finalizer, and the status counts those that are
// named and have none. A crash between any two of them neither loses a pod nor counts it twice.
//
// Plans are pure functions of the objects in the cache and the time; testdata has golden ones.
package job
