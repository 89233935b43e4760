// Package webhooks has the rules MutatingAdmissionWebhook and ValidatingAdmissionWebhook: writes are sent to the webhooks of
// admissionregistration.k8s.io/v1, which change or refuse them. As the registry is the one write path, they see the writes of every process.
//
// A webhook that does not answer costs those it is for: with the failure policy Fail the write is refused and the error says why, with Ignore
// it goes on. Each failure is reported to the process, which records an Event of the webhook's configuration, and counted in the metrics
// apiserver_admission_webhook_rejection_count and apiserver_admission_webhook_fail_open_count. The objects of admissionregistration.k8s.io that could end this are never sent to webhooks.
package webhooks
