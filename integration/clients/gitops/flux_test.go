package gitops

// The parts of flux's schemas.
const (
	fluxCommon = `
interval: {type: string, pattern: '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'}
timeout: {type: string, pattern: '^([0-9]+(\.[0-9]+)?(ms|s|m))+$'}
suspend: {type: boolean}
secretRef: {type: object, required: [name], properties: {name: {type: string}}}
serviceAccountName: {type: string}
`
	fluxStatus = `
observedGeneration: {type: integer, format: int64}
lastHandledReconcileAt: {type: string}
lastAppliedRevision: {type: string}
lastAttemptedRevision: {type: string}
artifact:
  type: object
  required: [digest, lastUpdateTime, path, revision, url]
  properties:
    digest: {type: string, pattern: '^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$'}
    lastUpdateTime: {type: string, format: date-time}
    metadata: {type: object, additionalProperties: {type: string}}
    path: {type: string}
    revision: {type: string}
    size: {type: integer, format: int64}
    url: {type: string}
inventory:
  type: object
  required: [entries]
  properties: {entries: {type: array, items: {type: object, required: [id, v], properties: {id: {type: string}, v: {type: string}}}}}
history: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}
latestRef: {type: object, required: [name, tag], properties: {name: {type: string}, tag: {type: string}, digest: {type: string}}}
lastScanResult: {type: object, required: [tagCount], properties: {tagCount: {type: integer}, scanTime: {type: string, format: date-time}, latestTags: {type: array, items: {type: string}}}}
lastAutomationRunTime: {type: string, format: date-time}
webhookPath: {type: string}
conditions:
  type: array
  items:
    type: object
    required: [lastTransitionTime, message, reason, status, type]
    properties:
      lastTransitionTime: {type: string, format: date-time}
      message: {type: string, maxLength: 32768}
      observedGeneration: {type: integer, format: int64, minimum: 0}
      reason: {type: string, maxLength: 1024, minLength: 1, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$'}
      status: {type: string, enum: ["True", "False", Unknown]}
      type: {type: string, maxLength: 316}
`
	ready   = `.status.conditions[?(@.type=="Ready")].status`
	message = `.status.conditions[?(@.type=="Ready")].message`
	age     = ".metadata.creationTimestamp"
)

func fluxKind(group, name, plural, short, category, version string, columns []string, spec string) kind {
	k := kind{
		group: group + ".toolkit.fluxcd.io", name: name, plural: plural, categories: []string{"all", "fluxcd", "fluxcd-" + category}, versions: []string{version},
		columns: append(columns, "Age", age, "Ready", ready, "Status", message), labels: map[string]any{"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "flux-system"},
	}
	if short != "" {
		k.short = []string{short}
	}
	k.schema = map[string]any{"spec": object(with(parse(fluxCommon + spec))), "status": object(parse(fluxStatus))}
	k.schema["status"].(map[string]any)["default"] = map[string]any{"observedGeneration": -1}
	return k
}

// fluxKinds have the names, columns and the main fields of flux's own kinds.
func fluxKinds() []kind {
	source := `
sourceRef: {type: object, required: [kind, name], properties: {apiVersion: {type: string}, kind: {type: string}, name: {type: string}, namespace: {type: string}}}
`
	repository := `
url: {type: string, pattern: '^(http|https|ssh|oci)://.*$'}
ignore: {type: string}
provider: {type: string, enum: [generic, aws, azure, gcp, github]}
ref: {type: object, properties: {branch: {type: string}, tag: {type: string}, semver: {type: string}, commit: {type: string}, name: {type: string}, digest: {type: string}}}
verify: {type: object, properties: {mode: {type: string, default: HEAD}, provider: {type: string}, secretRef: {type: object, properties: {name: {type: string}}}}}
insecure: {type: boolean}
type: {type: string, enum: [default, oci]}
`
	kinds := []kind{
		fluxKind("source", "GitRepository", "gitrepositories", "gitrepo", "sources", "v1", []string{"URL", ".spec.url"}, repository),
		fluxKind("source", "OCIRepository", "ocirepositories", "ocirepo", "sources", "v1", []string{"URL", ".spec.url"}, repository),
		fluxKind("source", "HelmRepository", "helmrepositories", "helmrepo", "sources", "v1", []string{"URL", ".spec.url"}, repository),
		fluxKind("source", "Bucket", "buckets", "", "sources", "v1", []string{"Endpoint", ".spec.endpoint"}, "endpoint: {type: string}\nbucketName: {type: string}\nprovider: {type: string}\n"),
		fluxKind("source", "HelmChart", "helmcharts", "hc", "sources", "v1",
			[]string{"Chart", ".spec.chart", "Version", ".spec.version", "Source Kind", ".spec.sourceRef.kind", "Source Name", ".spec.sourceRef.name"},
			source+"chart: {type: string}\nversion: {type: string, default: '*'}\nreconcileStrategy: {type: string, default: ChartVersion}\n"),
		fluxKind("source", "ExternalArtifact", "externalartifacts", "ea", "sources", "v1", []string{"Source", ".spec.sourceRef.name"}, source),
		fluxKind("source.extensions", "ArtifactGenerator", "artifactgenerators", "ag", "sources", "v1beta1", nil, "sources: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}\n"),
		fluxKind("kustomize", "Kustomization", "kustomizations", "ks", "appliers", "v1", nil, source+`
path: {type: string}
prune: {type: boolean}
wait: {type: boolean}
force: {type: boolean, default: false}
targetNamespace: {type: string}
dependsOn: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, namespace: {type: string}}}}
patches: {type: array, items: {type: object, required: [patch], properties: {patch: {type: string}, target: {type: object, additionalProperties: {type: string}}}}}
postBuild: {type: object, properties: {substitute: {type: object, additionalProperties: {type: string}}, substituteFrom: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`),
		fluxKind("helm", "HelmRelease", "helmreleases", "hr", "appliers", "v2", nil, `
chart: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
chartRef: {type: object, x-kubernetes-preserve-unknown-fields: true}
releaseName: {type: string, minLength: 1, maxLength: 53}
values: {x-kubernetes-preserve-unknown-fields: true}
install: {type: object, x-kubernetes-preserve-unknown-fields: true}
upgrade: {type: object, x-kubernetes-preserve-unknown-fields: true}
`),
		fluxKind("notification", "Provider", "providers", "", "notifications", "v1beta3", nil, "type: {type: string}\naddress: {type: string}\nchannel: {type: string}\n"),
		fluxKind("notification", "Alert", "alerts", "", "notifications", "v1beta3", nil, `
providerRef: {type: object, required: [name], properties: {name: {type: string}}}
eventSeverity: {type: string, default: info, enum: [info, error]}
eventSources: {type: array, items: {type: object, required: [kind, name], properties: {kind: {type: string}, name: {type: string}, namespace: {type: string}}}}
`),
		fluxKind("notification", "Receiver", "receivers", "", "notifications", "v1", nil, "type: {type: string}\nevents: {type: array, items: {type: string}}\nresources: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}\n"),
		fluxKind("image", "ImageRepository", "imagerepositories", "imgrepo", "images", "v1", []string{"Image", ".spec.image", "Tags", ".status.lastScanResult.tagCount"}, "image: {type: string}\n"),
		fluxKind("image", "ImagePolicy", "imagepolicies", "imgpol", "images", "v1", []string{"Image", ".status.latestRef.name", "Tag", ".status.latestRef.tag"},
			"imageRepositoryRef: {type: object, x-kubernetes-preserve-unknown-fields: true}\npolicy: {type: object, x-kubernetes-preserve-unknown-fields: true}\n"),
		fluxKind("image", "ImageUpdateAutomation", "imageupdateautomations", "iua", "images", "v1", nil, source+"git: {type: object, x-kubernetes-preserve-unknown-fields: true}\n"),
	}
	kinds[0].versions = append(kinds[0].versions, "v1beta2")
	return kinds
}
