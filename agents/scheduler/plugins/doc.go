// Package plugins has the scheduler's plug-ins: one file and one row of All each, under kube-scheduler's names. framework.Plugin states the
// contract of their functions.
package plugins
