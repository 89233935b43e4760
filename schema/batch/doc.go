// Package batch has the kinds of the group batch: jobs and cron jobs.
package batch
