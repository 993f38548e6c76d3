// controlplane is one binary with the parts of a Kubernetes control plane that Neap's end-to-end tests run: the first argument
// names the part, the others are its own flags.
//
//	controlplane etcd --dir DIR --client-port 0     an etcd on loopback, without fsync; prints its URL
//	controlplane kube-apiserver FLAGS...
//	controlplane kube-controller-manager FLAGS...
//	controlplane kube-scheduler FLAGS...
//	controlplane kubectl ARGS...
//
// Each part ends when its parent does, so that a test that dies leaves nothing behind.
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "controlplane etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl ...")
		os.Exit(2)
	}
	part := os.Args[1]
	os.Args = append([]string{part}, os.Args[2:]...)
	if part != "kubectl" {
		endWithParent()
	}
	switch part {
	case "etcd":
		runEtcd()
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
	default:
		fmt.Fprintf(os.Stderr, "controlplane: no part is called %q\n", part)
		os.Exit(2)
	}
}

// PR_SET_PDEATHSIG is of the thread that set it and Go has many; the parent is looked at instead.
func endWithParent() {
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(200 * time.Millisecond)
		}
		os.Exit(1)
	}()
}

func runEtcd() {
	dir := flag.String("dir", "", "data")
	client := flag.String("client-url", "http://127.0.0.1:0", "what it listens on")
	peer := flag.String("peer-url", "http://127.0.0.1:0", "what it would listen on for peers")
	delay := flag.Duration("commit-delay", 0, "a slow etcd: the interval between commits of its backend")
	flag.Parse()
	config := embed.NewConfig()
	config.Dir = *dir
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	if *delay > 0 {
		config.BackendBatchInterval = *delay
	}
	config.ListenClientUrls = []url.URL{mustParse(*client)}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = []url.URL{mustParse(*peer)}
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
	<-etcd.Server.ReadyNotify()
	fmt.Println("http://" + strings.TrimPrefix(etcd.Clients[0].Addr().String(), "http://"))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
	case err := <-etcd.Err():
		fmt.Fprintln(os.Stderr, "etcd:", err)
	}
	etcd.Close()
}

func mustParse(text string) url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(2)
	}
	return *parsed
}
