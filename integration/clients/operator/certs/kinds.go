// Package certs has the kinds certs.example.com, in the shape of cert-manager's, and their controllers: Certificates are kept as Secrets, by way of
// CertificateRequests that an Issuer or a ClusterIssuer signs.
package certs

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is that of the kinds here; Certificates are served as v1alpha1, too.
var GroupVersion = schema.GroupVersion{Group: "certs.example.com", Version: "v1"}

// AddToScheme adds the kinds.
func AddToScheme(s *runtime.Scheme) {
	s.AddKnownTypes(GroupVersion, &Issuer{}, &IssuerList{}, &ClusterIssuer{}, &ClusterIssuerList{},
		&Certificate{}, &CertificateList{}, &CertificateRequest{}, &CertificateRequestList{})
	metav1.AddToGroupVersion(s, GroupVersion)
}

// Issuer signs the requests of its namespace.
type Issuer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              IssuerSpec `json:"spec"`
	Status            Status     `json:"status,omitempty"`
}

// ClusterIssuer signs the requests of all namespaces.
type ClusterIssuer Issuer

// IssuerSpec has one of its fields.
type IssuerSpec struct {
	SelfSigned *struct{} `json:"selfSigned,omitempty"`
	CA         *IssuerCA `json:"ca,omitempty"`
}

// IssuerCA names a Secret of a certificate authority: in the issuer's namespace, or for a ClusterIssuer in the controller's.
type IssuerCA struct {
	SecretName string `json:"secretName"`
}

// IssuerRef names an issuer.
type IssuerRef struct {
	Name string `json:"name"`
	Kind string `json:"kind,omitempty"`
}

// Status is what the status of every kind has.
type Status struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Certificate is to be kept in a Secret.
type Certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              CertificateSpec   `json:"spec"`
	Status            CertificateStatus `json:"status,omitempty"`
}

// CertificateSpec is what is wanted.
type CertificateSpec struct {
	SecretName string           `json:"secretName"`
	DNSNames   []string         `json:"dnsNames"`
	IsCA       bool             `json:"isCA,omitempty"`
	Duration   *metav1.Duration `json:"duration,omitempty"`
	IssuerRef  IssuerRef        `json:"issuerRef"`
}

// CertificateStatus is what there is.
type CertificateStatus struct {
	Status   `json:",inline"`
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	Serial   string       `json:"serial,omitempty"`
	Revision int64        `json:"revision,omitempty"` // the generation of what the Secret has
}

// CertificateRequest is signed once.
type CertificateRequest struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              RequestSpec   `json:"spec"`
	Status            RequestStatus `json:"status,omitempty"`
}

// RequestSpec has a request in PEM.
type RequestSpec struct {
	Request   []byte           `json:"request"`
	IsCA      bool             `json:"isCA,omitempty"`
	Duration  *metav1.Duration `json:"duration,omitempty"`
	IssuerRef IssuerRef        `json:"issuerRef"`
}

// RequestStatus has certificates in PEM.
type RequestStatus struct {
	Status      `json:",inline"`
	Certificate []byte `json:"certificate,omitempty"`
	CA          []byte `json:"ca,omitempty"`
}

// IssuerList is a list.
type IssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Issuer `json:"items"`
}

// ClusterIssuerList is a list.
type ClusterIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterIssuer `json:"items"`
}

// CertificateList is a list.
type CertificateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Certificate `json:"items"`
}

// CertificateRequestList is a list.
type CertificateRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CertificateRequest `json:"items"`
}

// DeepCopyObject is runtime.Object's.
func (o *Issuer) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *ClusterIssuer) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *Certificate) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *CertificateRequest) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *IssuerList) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *ClusterIssuerList) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *CertificateList) DeepCopyObject() runtime.Object { return copied(o) }

// DeepCopyObject is runtime.Object's.
func (o *CertificateRequestList) DeepCopyObject() runtime.Object { return copied(o) }

func copied[T any](in *T) *T {
	text, err := json.Marshal(in)
	if err == nil {
		out := new(T)
		if err = json.Unmarshal(text, out); err == nil {
			return out
		}
	}
	panic(err) // what came from JSON goes to JSON
}
