// controlplane is one program with the parts of a Kubernetes control plane that Neap's end-to-end tests run. The name that it is
// started by says which: etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kubectl, each with its own flags.
// tools/go-tools builds it with a link for each name, so that its folder is like one of KUBEBUILDER_ASSETS. One program, since the
// five share most of what they are made of: it compiles and links once.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	switch part := filepath.Base(os.Args[0]); part {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
	default:
		fmt.Fprintf(os.Stderr, "%s: start it by the name etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kubectl\n", part)
		os.Exit(2)
	}
}
