package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// serviceAccountIssuer is the issuer in the tokens; the name that K3s and kubeadm use.
const serviceAccountIssuer = "https://kubernetes.default.svc.cluster.local"

// controllers are the ones that a cluster without nodes needs: namespaces end, accounts and their tokens exist, owned
// objects are collected, aggregated roles (admin, edit, view) are filled, quotas count.
var controllers = []string{
	names.NamespaceController,
	names.ServiceAccountController,
	names.ServiceAccountTokenController,
	names.GarbageCollectorController,
	names.RootCACertificatePublisherController,
	names.ClusterRoleAggregationController,
	names.ResourceQuotaController,
}

// runAPIServer runs kube-apiserver until ctx ends. Its cobra command is not used: that installs a signal handler which
// panics when a second component of the same process does the same.
func runAPIServer(ctx context.Context, opts options) error {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	s := apiserveroptions.NewServerRunOptions()
	if err := parse("kube-apiserver", s.Flags(), apiserverFlags(opts)); err != nil {
		return err
	}
	registry := s.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(s.Logs, registry.FeatureGateFor(compatibility.DefaultKubeComponent)); err != nil {
		return err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	return apiserver.Run(ctx, completed)
}

// apiserverFlags never lets the endpoint reconciler run: without pods nobody uses the kubernetes Service's endpoints, and
// the reconciler refuses a loopback address.
func apiserverFlags(opts options) []string {
	return []string{
		"--etcd-servers=unix://" + opts.path(kineSocket),
		"--bind-address=" + opts.bindAddress.String(),
		"--advertise-address=" + opts.bindAddress.String(),
		"--secure-port=" + strconv.Itoa(opts.port),
		"--endpoint-reconciler-type=none",
		"--authorization-mode=Node,RBAC",
		"--anonymous-auth=false",
		"--allow-privileged=true",
		"--profiling=false",
		"--service-cluster-ip-range=10.43.0.0/16",
		"--tls-cert-file=" + opts.path(servingCertificate.certificateFile()),
		"--tls-private-key-file=" + opts.path(servingCertificate.keyFile()),
		"--client-ca-file=" + opts.path(clientCA.certificateFile()),
		"--service-account-issuer=" + serviceAccountIssuer,
		"--service-account-key-file=" + opts.path(serviceAccountKey),
		"--service-account-signing-key-file=" + opts.path(serviceAccountKey),
	}
}

// runControllers runs the chosen controllers of kube-controller-manager until ctx ends.
func runControllers(ctx context.Context, opts options) error {
	s, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, disabled, aliases := kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases()
	if err := parse("kube-controller-manager", s.Flags(known, disabled, aliases), []string{
		"--kubeconfig=" + opts.path(controllerKubeconfig),
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + opts.path(serviceAccountKey),
		"--root-ca-file=" + opts.path(serverCA.certificateFile()),
		"--leader-elect=false",
		"--secure-port=0",
	}); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	config, err := s.Config(ctx, known, disabled, aliases)
	if err != nil {
		return err
	}
	return kcm.Run(ctx, config.Complete())
}

func parse(name string, sets cliflag.NamedFlagSets, arguments []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	return flags.Parse(arguments)
}
