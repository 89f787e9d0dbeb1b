package kubelet

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
)

// imagesFile is the device's table of images. Without it every pod is only called running.
const imagesFile = "/etc/edge-fleet-lab/images.json"

// image is what a repository's entry says.
type image struct {
	// Root is the folder of the image's own /usr/local/bin; the rest of its file system is the device's. Empty: there is no
	// program, and a container of it is only called running.
	Root string `json:"root"`
	// Entrypoint, Cmd, User, WorkingDir and Env are those of the image's configuration.
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	User       string            `json:"user"`
	WorkingDir string            `json:"workingDir"`
	Env        map[string]string `json:"env"`
	// Folders of the image that are not the device's, with owner and mode: `uid gid mode path`.
	Folders []string `json:"folders"`
	// Links by path.
	Links map[string]string `json:"links"`
	// Names for users, as in /etc/passwd.
	Passwd []string `json:"passwd"`
}

// absent begins the name of an image that no device has, whatever its table.
const absent = "lab.invalid/absent/"

type images map[string]image

func readImages() (images, error) {
	data, err := os.ReadFile(imagesFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	table := images{}
	return table, json.Unmarshal(data, &table)
}

// of finds an image by its repository, whatever its tag and digest. Docker Hub's names are written out or not.
func (i images) of(reference string) (image, bool) {
	if i == nil {
		return image{}, !strings.HasPrefix(reference, absent)
	}
	repository, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	found, ok := i[repository]
	return found, ok
}
